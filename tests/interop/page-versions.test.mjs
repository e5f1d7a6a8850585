// Versions on the page: keep one, see what has changed since, restore it, fork it.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { code, live, participant, record, shows, tab, together, told, write } from './page-visit.mjs'
import { noBrowser } from './support/browser.mjs'
import { until } from './support/wait.mjs'

const versions = (page) => page.getByRole('list', { name: 'Versions' })
const version = (page, text) => versions(page).getByRole('button').filter({ hasText: text })
const dialog = (page, name) => page.getByRole('dialog', { name })

describe('versions on the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob

  before(async () => {
    [ada, bob] = await together(browsers, 'Drafts')
    for (const page of [ada, bob]) await tab(page, 'Versions')
  })
  after(() => Promise.all(browsers.map((browser) => browser.close())))

  test('a version is kept, and everybody sees it in the list', async () => {
    await write(ada, 'print("first")')
    await ada.getByLabel('What the version is kept for').fill('the <b>first</b> one')
    await ada.getByRole('button', { name: 'Keep a version' }).click()
    for (const page of [ada, bob]) await version(page, 'the <b>first</b> one').waitFor()
  })

  test('what has changed since is shown line by line', async () => {
    // By somebody else, so that it is a step of its own in the playback too.
    await write(bob, 'print("second")')
    await shows(ada, 'print("second")')
    await version(bob, 'first').click()
    const shown = dialog(bob, /^Version \d+$/)
    await shown.locator('.diff-line.removed', { hasText: 'print("first")' }).waitFor()
    await shown.locator('.diff-line.added', { hasText: 'print("second")' }).waitFor()
    await shown.getByRole('button', { name: 'Text' }).click()
    assert.equal(await shown.locator('.version-text').textContent(), 'print("first")')
    await shown.getByRole('button', { name: 'Close' }).click()
  })

  test('restoring brings the text back for all, says who did it, and can be taken back', async () => {
    await version(ada, 'first').click()
    await dialog(ada, /^Version/).getByRole('button', { name: 'Restore' }).click()
    for (const page of [ada, bob]) await shows(page, 'print("first")')
    await told(ada, /^You have restored version \d+\.$/)
    await told(bob, /^Ada Lovelace has restored version \d+\.$/)
    await version(ada, 'Before a restore').click()
    await dialog(ada, /^Version/).getByRole('button', { name: 'Restore' }).click()
    for (const page of [ada, bob]) await shows(page, 'print("second")')
  })

  test('playback goes through the past, says whose it was, and leaves the document as it is', async () => {
    const present = await code(bob)
    await bob.getByRole('button', { name: /^Playback/ }).click()
    const shown = dialog(bob, 'Playback')
    const slider = shown.getByRole('slider', { name: 'Moment' })
    const words = shown.locator('.playback-words')
    const text = () => shown.locator('.version-text').first().textContent()
    await shown.getByText(/^Step 0 of \d+/).waitFor()
    const last = Number(await slider.getAttribute('max'))
    assert.ok(last >= 2, `${last} steps`)
    await slider.focus()
    await bob.keyboard.press('End')
    await until('the end is the present', async () => await text() === present)
    // Somewhere in the middle is what Ada had written first, and nothing else.
    const seen = new Map()
    for (let step = last; step > 0; step -= 1) {
      await until('the moment', async () => (await words.textContent()).startsWith(`Step ${step} of ${last}`))
      seen.set(await text(), await words.textContent())
      await bob.keyboard.press('ArrowLeft')
    }
    assert.match(seen.get('print("first")') ?? '', /Ada Lovelace/, [...seen.keys()].join(' | '))
    await shown.getByText(/^Step 0 of/).waitFor()
    const controls = await record(shown.locator('.playback-controls'))
    await bob.keyboard.press('Space')
    await until('played to its end', async () => await text() === present)
    await shown.getByRole('button', { name: 'Play' }).waitFor()
    assert.ok((await controls.end()).some((text) => text.startsWith('Pause')), 'it could be stopped')
    assert.equal(await code(ada), present, 'nothing was changed')
    await shown.getByRole('button', { name: 'Close' }).click()
  })

  test('a moment of the past is restored for all', async () => {
    const present = await code(ada)
    await ada.getByRole('button', { name: /^Playback/ }).click()
    const shown = dialog(ada, 'Playback')
    await shown.getByText(/^Step 0 of \d+/).waitFor()
    const slider = shown.getByRole('slider', { name: 'Moment' })
    await slider.focus()
    const text = () => shown.locator('.version-text').first().textContent()
    for (let step = 1; await text() !== 'print("first")'; step += 1) {
      assert.ok(step <= Number(await slider.getAttribute('max')), 'it is there')
      await ada.keyboard.press('ArrowRight')
      await shown.getByText(new RegExp(`^Step ${step} of`)).waitFor()
    }
    const answered = ada.waitForResponse('**/restore')
    await shown.getByRole('button', { name: 'Restore' }).click()
    const { before } = await (await answered).json()
    for (const page of [ada, bob]) await shows(page, 'print("first")')
    await told(bob, 'Ada Lovelace has restored an earlier moment.')
    // There is an older one of that name, which the list may show as its first for a while.
    await versions(ada).locator(`[data-number="${before.number}"]`).click()
    await dialog(ada, `Version ${before.number}`).getByRole('button', { name: 'Restore' }).click()
    for (const page of [ada, bob]) await shows(page, present)
  })

  test('a viewer reads and forks, and is offered nothing else', async () => {
    await tab(ada, 'People')
    await participant(ada, 'Bob').getByRole('combobox').selectOption('viewer')
    await bob.locator('.cm-editor.read-only').waitFor()
    await bob.getByRole('button', { name: 'Keep a version' }).waitFor({ state: 'hidden' })
    await version(bob, 'first').click()
    const shown = dialog(bob, /^Version/)
    await shown.getByRole('button', { name: 'Fork' }).waitFor()
    assert.equal(await shown.getByRole('button', { name: 'Restore' }).count(), 0)
    const before = bob.url()
    await shown.getByRole('button', { name: 'Fork' }).click()
    await until('the fork is open', () => bob.url() !== before)
    await live(bob)
    await shows(bob, 'print("first")')
  })

  test('a version that nobody needs is deleted', async () => {
    await tab(ada, 'Versions')
    await version(ada, 'first').click()
    await dialog(ada, /^Version/).getByRole('button', { name: 'Delete' }).click()
    await ada.getByRole('dialog', { name: /^Delete version/ }).getByRole('button', { name: 'Delete version' }).click()
    await version(ada, 'first').waitFor({ state: 'hidden' })
  })

  test('nothing went wrong unseen', () => {
    for (const page of [ada, bob]) assert.deepEqual(page.faults, [])
  })
})
