// Files that a program leaves: images are shown to everybody, the rest is saved, nothing runs.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { runButton, together, verdict, write } from './page-visit.mjs'
import { noBrowser } from './support/browser.mjs'

const DOT = 'R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs='
const DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40" onload="top.ran = 1">' +
  '<script>top.ran = 1; document.title = "ran"</script><rect width="60" height="40" fill="teal"/></svg>'
const PROGRAM = [
  'import base64',
  `open("dot.gif", "wb").write(base64.b64decode("${DOT}"))`,
  `open("drawing.svg", "w").write('${DRAWING}')`,
  'open("table.csv", "w").write("a,b\\n1,2\\n")',
  'open("data.db", "w").close()'
].join('\n')

const files = (page) => page.getByRole('group', { name: 'Files of the program' })

describe('files on the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob

  before(async () => {
    [ada, bob] = await together(browsers, 'Plots')
  })
  after(() => Promise.all(browsers.map((browser) => browser.close())))

  test('images are shown to both, and nothing in them runs', async () => {
    await write(ada, PROGRAM)
    await runButton(ada).click()
    for (const page of [ada, bob]) {
      await verdict(page, /^Finished/)
      for (const [name, width] of [['dot.gif', 1], ['drawing.svg', 60]]) {
        const image = files(page).getByRole('img', { name })
        await image.waitFor()
        assert.equal(await image.evaluate(async (image) => { await image.decode(); return image.naturalWidth }), width)
        assert.match(await image.getAttribute('src'), /^data:image\//)
      }
      assert.equal(await page.evaluate(() => window.ran), undefined)
      await files(page).getByText('Not kept: data.db (a kind that does not come back).').waitFor()
    }
  })

  test('a file is saved as it was written', async () => {
    for (const [name, content] of [['table.csv', 'a,b\n1,2\n'], ['drawing.svg', DRAWING]]) {
      const [download] = await Promise.all([bob.waitForEvent('download'), files(bob).getByRole('button', { name }).click()])
      assert.equal(download.suggestedFilename(), name)
      assert.equal(await readFile(await download.path(), 'utf8'), content)
    }
  })

  test('they go with the run that they are of', async () => {
    await write(ada, 'print("nothing left")')
    await runButton(ada).click()
    for (const page of [ada, bob]) {
      await page.getByText('nothing left', { exact: true }).first().waitFor()
      await verdict(page, /^Finished/)
      await files(page).waitFor({ state: 'hidden' })
    }
  })
})
