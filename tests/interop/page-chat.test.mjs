// The chat on the page: live, with who is typing and what is unread, and never as markup.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { live, record, tab, together } from './page-visit.mjs'
import { noBrowser } from './support/browser.mjs'
import { until } from './support/wait.mjs'

const log = (page) => page.getByRole('log', { name: 'Chat' })
const box = (page) => page.getByLabel('Message', { exact: true })
const said = (page, text) => log(page).getByText(text, { exact: true })

async function say (page, text) {
  await box(page).fill(text)
  await box(page).press('Enter')
}

describe('the chat on the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob

  before(async () => {
    [ada, bob] = await together(browsers, 'Talk')
    await tab(ada, 'Chat')
  })
  after(() => Promise.all(browsers.map((browser) => browser.close())))

  test('what was not seen yet is counted, until somebody looks', async () => {
    await say(ada, 'hello Bob')
    await say(ada, 'are you there?')
    await bob.getByRole('tab', { name: 'Chat (2)' }).click()
    await said(bob, 'are you there?').waitFor()
    await bob.getByRole('tab', { name: 'Chat', exact: true }).waitFor()
    await bob.reload()
    await live(bob)
    await bob.getByRole('tab', { name: 'Chat', exact: true }).click()
    await said(bob, 'hello Bob').waitFor()
  })

  test('who is typing is shown, until it is sent', async () => {
    const typing = await record(ada.locator('.chat-typing'))
    await box(bob).pressSequentially('yes')
    await until('it is shown', async () => (await typing.soFar()).includes('Bob Kahn is typing…'))
    await box(bob).press('Enter')
    assert.equal(await box(bob).inputValue(), '')
    await said(ada, 'yes').waitFor()
    await ada.getByText('Bob Kahn is typing…').waitFor({ state: 'hidden' })
  })

  test('what did not arrive is in the box again, before what was written meanwhile, and is sent once', async () => {
    let refuse
    const refused = new Promise((resolve) => { refuse = resolve })
    const path = '**/chat'
    await bob.route(path, async (route) => {
      if (route.request().method() !== 'POST') return route.continue()
      // It does arrive: what is lost is the answer.
      await route.fetch()
      await refused
      await route.abort()
    })
    await say(bob, 'lost?')
    await said(ada, 'lost?').waitFor()
    await box(bob).pressSequentially('and more')
    refuse()
    await bob.getByText('Not sent: the server cannot be reached. Send it again.').waitFor()
    assert.equal(await box(bob).inputValue(), 'lost?\nand more')
    await bob.unroute(path)
    await say(bob, 'lost?')
    await say(bob, 'and more')
    for (const page of [ada, bob]) {
      await said(page, 'and more').waitFor()
      assert.equal(await said(page, 'lost?').count(), 1)
    }
  })

  test('what is said quickly arrives in its order, however slow the first is', async () => {
    let go
    const slow = new Promise((resolve) => { go = resolve })
    const path = '**/chat'
    await bob.route(path, async (route) => {
      if (route.request().postDataJSON()?.text === 'one') await slow
      await route.continue()
    })
    await say(bob, 'one')
    await say(bob, 'two')
    go()
    for (const page of [ada, bob]) {
      await said(page, 'two').waitFor()
      assert.deepEqual((await log(page).locator('.chat-text').allTextContents()).slice(-2), ['one', 'two'])
    }
    await bob.unroute(path)
  })

  test('markup is text', async () => {
    const markup = '<img src=x onerror="window.ran = 1"><b>bold</b>'
    await say(bob, markup)
    for (const page of [ada, bob]) {
      await said(page, markup).waitFor()
      assert.equal(await log(page).locator('img, b').count(), 0)
      assert.equal(await page.evaluate(() => window.ran), undefined)
    }
  })

  test('the owner deletes what others have said; others only what they have said', async () => {
    await say(ada, 'to be kept')
    await said(bob, 'to be kept').waitFor()
    const row = (page, text) => log(page).getByRole('listitem').filter({ hasText: text })
    assert.equal(await row(bob, 'to be kept').getByRole('button').count(), 0)
    await row(ada, 'bold').hover()
    await row(ada, 'bold').getByRole('button', { name: /^Delete/ }).click()
    for (const page of [ada, bob]) await row(page, 'Deleted.').waitFor()
    await row(bob, 'yes').hover()
    await row(bob, 'yes').getByRole('button', { name: /^Delete/ }).click()
    await said(ada, 'yes').waitFor({ state: 'hidden' })
  })

  test('nothing went wrong unseen', () => {
    assert.deepEqual(ada.faults, [])
    // The browser itself reports the answer that was lost.
    assert.deepEqual(bob.faults.filter((fault) => !fault.includes('net::ERR_FAILED')), [])
  })
})
