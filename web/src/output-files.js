// Shows the files that a program has left: images as images, everything else to be saved.
//
// What is in a file is the program's. An image is shown by a `data:` URL in an `<img>`, where
// nothing in it can run and from where it cannot be opened as a page of ours; what is saved is
// handed over as mere bytes.

import { h, show } from './dom.js'

const REASONS = {
  not_a_file: 'a link or a pipe',
  name: 'a name with other characters than A–Z a–z 0–9 . _ -',
  type: 'a kind that does not come back',
  too_large: 'too large',
  too_many: 'too many files',
  too_much: 'too much together',
  unreadable: 'could not be read'
}

/**
 * @param {object} options
 * @param {(executionId: string, name: string) => Promise<Blob>} options.fetchFile
 */
export function createOutputFiles ({ fetchFile }) {
  const list = h('ul', {})
  const leftOut = h('p', { class: 'muted' })
  const element = h('div', { class: 'output-files', hidden: true, role: 'group', 'aria-label': 'Files of the program' }, list, leftOut)
  let shown = null

  return {
    element,
    /** @param {import('./run-log.js').RunLog} log */
    render ({ executionId, phase, files = [], filesLeftOut = [], filesLeftOutCount = 0 }) {
      const any = phase === 'finished' && (files.length > 0 || filesLeftOutCount > 0)
      element.hidden = !any
      const now = any ? executionId : null
      if (now === shown) return
      shown = now
      if (!any) return show(list)
      show(list, ...files.map((file) => item(executionId, file, fetchFile)))
      leftOut.textContent = said(filesLeftOut, filesLeftOutCount)
    }
  }
}

/** What does not come back, and why. Pure. */
export function said (named, count) {
  if (count === 0) return ''
  const names = named.map(({ name, reason }) => `${name} (${REASONS[reason] ?? reason})`)
  const more = count - named.length
  if (more > 0) names.push(`${more} more`)
  return `Not kept: ${names.join(', ')}.`
}

/** `1.5 KB`, in steps of 1000. Pure. */
export function size (bytes) {
  if (bytes < 1000) return `${bytes} B`
  const [number, unit] = bytes < 999_500 ? [bytes / 1000, 'KB'] : [bytes / 1e6, 'MB']
  return `${number < 9.95 ? number.toFixed(1) : number.toFixed(0)} ${unit}`
}

function item (executionId, { name, mediaType, bytes }, fetchFile) {
  const failed = h('span', { class: 'muted', role: 'status' })
  const attempt = async (work) => {
    failed.textContent = ''
    try {
      return await work(await fetchFile(executionId, name))
    } catch (error) {
      failed.textContent = ` ${error.message}`
    }
  }
  const save = () => attempt((blob) => {
    // As mere bytes: as what it says that it is, it could be opened as a page of ours.
    const url = URL.createObjectURL(new Blob([blob], { type: 'application/octet-stream' }))
    h('a', { href: url, download: name }).click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  })
  const button = h('button', { type: 'button', class: 'link', onclick: save, title: `Save ${name}` }, name)
  const element = h('li', {}, button, h('span', { class: 'muted' }, ` ${size(bytes)}`), failed)
  if (mediaType.startsWith('image/')) {
    attempt(async (blob) => {
      const src = await dataUrl(new Blob([blob], { type: mediaType }))
      element.append(h('img', { src, alt: name }))
    })
  }
  return element
}

const dataUrl = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader()
  reader.onload = () => resolve(reader.result)
  reader.onerror = () => reject(reader.error)
  reader.readAsDataURL(blob)
})
