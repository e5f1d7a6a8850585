// Bundles the page into web/dist: index.html, app.js, app.css, and a chunk for each grammar, which
// is loaded when it is needed. The edge serves that folder at `/`.
//
//   node web/build.mjs            once, minified
//   node web/build.mjs --watch    again on every change, with source maps

import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const watch = process.argv.includes('--watch')

// The folder stays the same one: a server that is running may hold it open.
await mkdir(here('dist'), { recursive: true })
await cp(here('index.html'), here('dist/index.html'))

const options = {
  entryPoints: { app: here('src/main.js') },
  outdir: here('dist'),
  bundle: true,
  splitting: true,
  chunkNames: 'chunk-[hash]',
  metafile: true,
  format: 'esm',
  target: ['es2022'],
  minify: !watch,
  sourcemap: watch,
  legalComments: 'none',
  logLevel: 'info'
}
const style = { ...options, entryPoints: { app: here('app.css') }, format: undefined, splitting: false }

if (watch) {
  for (const each of [options, style]) await (await esbuild.context(each)).watch()
} else {
  const results = await Promise.all([esbuild.build(options), esbuild.build(style)])
  await removeOthers(results.flatMap(({ metafile }) => Object.keys(metafile.outputs)))
}

/** Chunks of earlier builds, whose names nobody knows any more. */
async function removeOthers (made) {
  const kept = new Set(['index.html', ...made.map((path) => path.slice(path.lastIndexOf('/') + 1))])
  for (const name of await readdir(here('dist'))) {
    if (!kept.has(name)) await rm(here(`dist/${name}`), { recursive: true })
  }
}
