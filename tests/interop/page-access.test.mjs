// Who may do what on the page: people come, change roles, are locked out, go and hand over.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  code, confirm, createSession, editable, editor, line, live, participant, readOnly, record, register, told, visit, write
} from './page-visit.mjs'
import { launch, noBrowser } from './support/browser.mjs'
import { edgeUrl, nonce } from './support/edge.mjs'
import { until } from './support/wait.mjs'

const ADA = 'Ada Lovelace'
// What people call themselves and their work is text, never markup.
const BOB = 'Bob <i>Kahn</i>'
const TITLE = `Access <b>${nonce()}</b>`

describe('people on the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob, bobsName, link

  before(async () => {
    browsers.push(...await Promise.all([launch(), launch()]))
    ada = await visit(browsers[0], edgeUrl(), { permissions: ['clipboard-read', 'clipboard-write'] })
    await register(ada, ADA)
    link = await createSession(ada, TITLE)
    await write(ada, 'print("together")')
  })
  after(() => Promise.all(browsers.map((browser) => browser.close())))

  const roleOfBob = () => ada.getByRole('combobox', { name: `Role of ${BOB}` })
  const share = async (page) => {
    await page.getByRole('button', { name: 'Share', exact: true }).click()
    return page.getByRole('dialog', { name: 'Share this session' })
  }
  const add = async (username) => {
    await ada.getByLabel('User name of whom to add').fill(username)
    await ada.getByRole('button', { name: 'Add', exact: true }).click()
  }
  const close = (page) => page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()

  test('the copied link of a public session lets somebody join, and both see the other in the list', async () => {
    const dialog = await share(ada)
    const shown = await record(dialog.locator('.share-link'))
    await dialog.getByRole('button', { name: 'Copy link' }).click()
    await until('it is said', async () => (await shown.soFar()).includes('Copied'))
    const copied = await ada.evaluate(() => navigator.clipboard.readText())
    assert.equal(copied, link)
    await dialog.getByText('may edit and run').first().waitFor()
    await close(ada)

    bob = await visit(browsers[1], copied)
    bobsName = await register(bob, BOB)
    await line(bob, 'together').waitFor()
    await participant(ada, BOB).filter({ hasText: 'here' }).waitFor()
    await participant(bob, ADA).filter({ hasText: 'Owner' }).waitFor()
  })

  test('a viewer’s editor is read-only at once, and open again when the role is back', async () => {
    await roleOfBob().selectOption('viewer')
    await readOnly(bob)
    await bob.locator('.access', { hasText: 'Viewer' }).waitFor()
    await editor(bob).click()
    await bob.keyboard.type('not for viewers')
    await bob.locator('button.run[aria-disabled=true]').click({ force: true })
    await told(bob, 'Viewers watch')
    await roleOfBob().selectOption('editor')
    await editable(bob)
    for (const page of [ada, bob]) assert.equal(await code(page), 'print("together")')
  })

  test('an admin may change settings; what a role is not for is not offered', async () => {
    assert.equal(await bob.getByRole('button', { name: 'Lock', exact: true }).count(), 0)
    await roleOfBob().selectOption('admin')
    await bob.getByRole('button', { name: 'Lock', exact: true }).waitFor()
    await bob.getByRole('combobox', { name: 'Language' }).waitFor()
    assert.equal(await bob.getByRole('combobox', { name: `Role of ${ADA}` }).count(), 0)
    await roleOfBob().selectOption('editor')
    await bob.getByRole('button', { name: 'Lock', exact: true }).waitFor({ state: 'hidden' })
  })

  test('the owner’s lock makes the editor read-only for others, and for nobody else', async () => {
    await ada.getByRole('button', { name: 'Lock', exact: true }).click()
    await readOnly(bob)
    await bob.locator('.access', { hasText: 'locked: only the owner can edit' }).waitFor()
    assert.equal(await ada.locator('.cm-editor.read-only').count(), 0)
    await ada.getByRole('button', { name: 'Unlock' }).click()
    await editable(bob)
  })

  test('public sessions are found by a search, beside one’s own', async () => {
    const looker = await bob.context().newPage()
    await looker.goto(edgeUrl())
    await looker.getByRole('tab', { name: 'Public sessions' }).click()
    await looker.getByLabel('Search public sessions').fill(TITLE)
    const found = looker.getByRole('list', { name: 'Public sessions' }).getByRole('listitem')
    await found.filter({ hasText: TITLE }).waitFor()
    await looker.getByLabel('Search public sessions').fill(`${TITLE} and nothing else`)
    await looker.getByText('Nothing fits.').waitFor()
    await looker.close()
  })

  test('who is removed is told why, and a private session stays closed until somebody adds them', async () => {
    const dialog = await share(ada)
    await dialog.getByLabel('Public: every signed-in person may join').uncheck()
    await dialog.getByText('This session is private').waitFor()
    await close(ada)
    await ada.getByRole('button', { name: `Remove ${BOB}` }).click()
    await confirm(ada, 'Remove')
    await bob.getByRole('alert').getByText('You were removed from this session').waitFor()
    await bob.locator('.connection[data-state=ended]', { hasText: 'Disconnected' }).waitFor()
    await readOnly(bob)
    await participant(ada, BOB).waitFor({ state: 'hidden' })

    await bob.getByRole('button', { name: 'Open again' }).click()
    await bob.getByRole('alert').getByText(`its owner can add you under your user name, ${bobsName}`).waitFor()

    await add(`${bobsName}-nobody`)
    await ada.getByText('There is no such user.').waitFor()
    await add(bobsName)
    await participant(ada, BOB).waitFor()
    await bob.getByRole('button', { name: 'Try again' }).click()
    await live(bob)
    await editable(bob)
  })

  test('who leaves is gone from the list, and comes back when added', async () => {
    await bob.getByRole('button', { name: 'Leave this session' }).click()
    await confirm(bob, 'Leave')
    await bob.getByRole('heading', { name: 'New session' }).waitFor()
    await participant(ada, BOB).waitFor({ state: 'hidden' })
    await add(bobsName)
    await participant(ada, BOB).waitFor()
    await bob.goto(link)
    await live(bob)
  })

  test('the owner hands the session over, after being asked', async () => {
    await roleOfBob().selectOption('owner')
    await confirm(ada, 'Cancel')
    await until('the role is shown as it was', async () => await roleOfBob().inputValue() === 'editor')
    await roleOfBob().selectOption('owner')
    await confirm(ada, 'Hand over')
    await participant(bob, BOB).filter({ hasText: 'Owner' }).waitFor()
    await bob.getByRole('combobox', { name: `Role of ${ADA}` }).waitFor()
    await participant(ada, ADA).filter({ hasText: 'Admin' }).waitFor()
  })

  test('a session that its owner deletes says so to whoever is in it', async () => {
    await bob.getByRole('button', { name: 'Delete this session' }).click()
    await confirm(bob, 'Delete')
    await bob.getByRole('heading', { name: 'New session' }).waitFor()
    await ada.getByRole('alert').getByText('does not exist any more').waitFor()
    await ada.locator('.connection[data-state=ended]').waitFor()
  })

  test('nothing was blocked or broken on the way', () => {
    // The browser itself reports refusals, which these tests provoke.
    for (const page of [ada, bob]) assert.deepEqual(page.faults.filter((fault) => !/status of 4\d\d/.test(fault)), [])
  })
})
