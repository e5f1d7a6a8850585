// The page as people use it: two browsers write, run, stop and look back together.
//
// SCREENSHOT=docs/page.png also takes a picture of it.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  caret, code, createSession, editor, isIn, line, live, output, record, register, runButton, runsLong, shows, stopButton, tab, told,
  type, verdict, visit, write
} from './page-visit.mjs'
import { launch, noBrowser } from './support/browser.mjs'
import { edgeUrl } from './support/edge.mjs'
import { until } from './support/wait.mjs'
import { wire } from './support/wire.mjs'

const SCREENSHOT = process.env.SCREENSHOT

const ADA = 'Ada Lovelace'
const BOB = 'Bob Kahn'
const TOP = [
  'import time',
  '',
  'def primes(limit):',
  '    """Every prime below the limit."""',
  '    for n in range(2, limit):',
  '        if all(n % d for d in range(2, n)):',
  '            yield n',
  '',
  ''
]
const BOTTOM = [
  'for prime in primes(25):',
  '    print(prime, flush=True)',
  '    time.sleep(0.4)'
]

describe('the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob, bobsWire, link

  before(async () => {
    browsers.push(...await Promise.all([launch(), launch()]))
    bobsWire = await wire(edgeUrl())
  })
  after(async () => {
    await Promise.all(browsers.map((browser) => browser.close()))
    bobsWire?.close()
  })

  test('somebody registers, creates a session, and somebody else opens its link', async () => {
    ada = await visit(browsers[0], edgeUrl())
    await register(ada, ADA)
    link = await createSession(ada, 'Primes, together')

    const bobsLink = link.replace(edgeUrl(), bobsWire.origin)
    bob = await visit(browsers[1], bobsLink)
    await bob.getByText('Somebody shared a session with you').waitFor()
    await register(bob, BOB)
    await live(bob)
    assert.equal(bob.url(), bobsLink)
    await bob.getByRole('heading', { name: 'Primes, together' }).waitFor()
  })

  test('an empty document offers a program to begin with, and whoever wants it has it', async () => {
    const offer = ada.getByRole('button', { name: 'Start with a small Python program' })
    await bob.getByRole('button', { name: 'Start with a small Python program' }).waitFor()
    await offer.click()
    await line(bob, 'import sys').waitFor()
    await offer.waitFor({ state: 'hidden' })
    await write(ada, ' ')
    await ada.keyboard.press('Backspace')
    await offer.waitFor()
  })

  test('both see each other’s text, cursor and name', async () => {
    await type(ada, TOP)
    await shows(bob, TOP.join('\n'))
    await type(bob, BOTTOM)
    for (const page of [ada, bob]) await shows(page, [...TOP.slice(0, -1), ...BOTTOM].join('\n'))

    await line(ada, 'yield n').click()
    await until('Ada is seen where she is', () => isIn(bob, ADA, 'yield n'))
    await until('Bob is seen where he is', () => isIn(ada, BOB, 'time.sleep'))
    await ada.keyboard.press('Shift+Home')
    await until('what she has selected is seen', async () => await bob.locator('.cm-remote-selection').count() === 1)
    await ada.keyboard.press('End')
    await bob.locator('.cm-remote-selection').waitFor({ state: 'detached' })
    for (const page of [ada, bob]) {
      const people = await page.getByRole('list', { name: 'Here now' }).getByRole('listitem').allInnerTexts()
      assert.deepEqual(people.map((label) => label.replace(/^\S+\n/, '').replace(/, typing$/, '')).sort(), page === ada ? [`${ADA} (you)`, BOB] : [ADA, `${BOB} (you)`])
    }
  })

  test('nobody’s name gets into the text when what they stand beside is replaced', async () => {
    const before = await code(ada)
    for (const text of ['one\n  two\n\nthree', 'one line', before]) {
      await editor(bob).click()
      await bob.keyboard.press('Control+End')
      const last = await line(bob, '').last().textContent()
      await until('Bob is seen at the end', () => isIn(ada, BOB, last))
      await write(ada, text)
      for (const page of [ada, bob]) await shows(page, text)
    }
  })

  test('one runs it, and both see the output while the program still writes', async () => {
    await runsLong(bob)
    const pages = await Promise.all([ada, bob].map(async (page) => (
      { page, written: await record(output(page)), buttons: await record(page.locator('.run-buttons')) }
    )))
    await runButton(bob).click()
    for (const { page, written, buttons } of pages) {
      await verdict(page, /^Finished in [\d.]+ m?s, using [\d.]+ MiB\.$/)
      await until('all of the output is shown', async () => (await output(page).innerText()).trim() === '2\n3\n5\n7\n11\n13\n17\n19\n23')
      const states = await written.end()
      assert.ok(states.some((text) => text.startsWith('2\n') && !text.includes('23')), `the first line is shown before the last is written: ${states}`)
      assert.ok((await buttons.end()).some((text) => text.includes('Stop')), 'and can be stopped')
      await page.locator('.run-by', { hasText: `run by ${BOB}` }).waitFor()
      await runButton(page).waitFor()
    }
    if (SCREENSHOT) {
      await line(bob, 'for prime').click()
      await editor(ada).focus()
      await caret(ada, BOB).waitFor()
      await ada.screenshot({ path: SCREENSHOT, style: '.cm-cursorLayer { animation: none !important }' })
    }
  })

  test('Ctrl-Enter runs too, with input and arguments, and an error is shown as one', async () => {
    await tab(ada, 'Input')
    await ada.getByLabel('Arguments').fill('-v "two words')
    await ada.getByLabel('Input (stdin)').fill('from the panel\n')
    await write(ada, 'import sys; print("<b>" + input() + "</b>", sys.argv[1:]); print("wrong", file=sys.stderr); raise SystemExit(3)')
    await ada.keyboard.press('Control+Enter')
    await told(ada, 'not closed')
    await ada.getByLabel('Arguments').fill('-v "two words"')
    await editor(ada).click()
    await ada.keyboard.press('Control+Enter')
    for (const page of [ada, bob]) {
      await verdict(page, /^Ended with exit code 3 after [\d.]+ m?s, using [\d.]+ MiB\.$/)
      // How both were cut into pieces on the way is chance.
      const stream = async (name) => (await output(page).locator(`.${name}`).allInnerTexts()).join('')
      // The sentence is there at once, and the text with the next picture of the screen.
      await until('both are shown', async () => await stream('stdout') !== '' && await stream('stderr') !== '')
      assert.deepEqual([await stream('stdout'), await stream('stderr')], ['<b>from the panel</b> [\'-v\', \'two words\']\n', 'wrong\n'], 'output is text, never markup, and errors are told apart')
      assert.match(await page.locator('.figures').innerText(), /CPU time\s+[\d.]+ m?s\s+Exit code\s+3/)
    }
    await shows(bob, await code(ada))
  })

  test('what runs is what its writer sees, though the room has not got all of it yet', async () => {
    bobsWire.hold()
    await write(bob, 'print("as bob sees it")')
    await bob.keyboard.press('Control+Enter')
    await output(ada).getByText('as bob sees it').waitFor()
    assert.doesNotMatch(await code(ada), /bob/, 'the room had it before')
    bobsWire.release()
    await line(ada, 'as bob sees it').waitFor()
    for (const page of [ada, bob]) await verdict(page, /^Finished/)
  })

  test('a program that does not end is stopped by the other person, who owns the session', async () => {
    await write(bob, 'import time\nprint("on and on", flush=True)\ntime.sleep(28)')
    await bob.keyboard.press('Control+Enter')
    await output(ada).getByText('on and on').waitFor()
    await editor(ada).click()
    await ada.keyboard.press('Control+.')
    for (const page of [ada, bob]) {
      await verdict(page, /^Stopped by request/)
      await runButton(page).waitFor()
    }
    await shows(ada, await code(bob))
  })

  test('an editor does not stop what somebody else runs, and is told why', async () => {
    await runsLong(ada)
    await write(ada, 'print("mine", flush=True)\nimport time\ntime.sleep(28)')
    await ada.keyboard.press('Control+Enter')
    await output(bob).getByText('mine').waitFor()
    await bob.locator('button.stop[aria-disabled=true]').click({ force: true })
    await told(bob, 'Whoever began this run can stop it')
    await stopButton(ada).click()
    for (const page of [ada, bob]) await verdict(page, /^Stopped by request/)
  })

  test('ten megabytes of output leave the page small and quick to type in', async () => {
    await write(ada, 'import sys\nprint("the first")\nfor n in range(100_000):\n    print(f"{n:099}")\nprint("the last")')
    await ada.keyboard.press('Control+Enter')
    await output(ada).getByText('the first').waitFor()
    await ada.keyboard.press('Control+End')
    await ada.keyboard.insertText('  # typed meanwhile')
    await line(bob, '# typed meanwhile').waitFor()
    for (const page of [ada, bob]) {
      await page.locator('.output').getByText(/wrote more than/).first().waitFor()
      await verdict(page, /^(Finished|Stopped)/)
      const { elements, characters } = await output(page).evaluate((log) => ({ elements: log.querySelectorAll('*').length, characters: log.textContent.length }))
      assert.ok(elements < 200 && characters < 200_000, `${elements} elements with ${characters} characters`)
    }
  })

  test('the last runs are listed with who and how, and a click shows one again', async () => {
    await tab(bob, 'Runs')
    const rows = bob.locator('.run-row')
    await rows.filter({ hasText: 'Stopped' }).first().waitFor()
    assert.match(await rows.last().innerText(), new RegExp(`Finished\\s+${BOB}\\s+Python\\s+[\\d.]+ m?s\\s+\\d`))
    await rows.filter({ hasText: 'Runtime error' }).first().click()
    await verdict(bob, 'Ended with exit code 3')
    await output(bob).getByText('from the panel').waitFor()
    await bob.locator('.run-by', { hasText: `an earlier run by ${ADA}` }).waitFor()
    await bob.getByRole('button', { name: 'Back to the latest' }).click()
    await output(bob).getByText('the first').waitFor()
  })

  test('the menu tells versions and what is being prepared, follows when it is ready, and all see the change', async () => {
    // Which languages this machine offers is its own affair: these answers are the test's.
    let ready = false
    const offer = (id, name, version) => ({ id, name, versions: version === null ? [] : [version], available: version !== null })
    for (const page of [ada, bob]) {
      await page.route('**/api/v1/languages', (route) => route.fulfill({
        json: { items: [offer('go', 'Go', null), offer('java', 'Java', ready ? 'openjdk 21.0.5 2024-10-15' : null), offer('python', 'Python', 'Python 3.11.2')] }
      }))
      await page.reload()
      await live(page)
    }
    const menu = ada.getByRole('combobox', { name: 'Language' })
    await menu.locator('option', { hasText: 'Java (preparing)' }).waitFor({ state: 'attached' })
    assert.deepEqual(await menu.locator('option').evaluateAll((options) => options.map(({ text, disabled }) => [text, disabled])),
      [['Python 3.11.2', false], ['Go (preparing)', true], ['Java (preparing)', true]])
    assert.equal(await bob.getByRole('combobox', { name: 'Language' }).count(), 0, 'an editor reads it only')

    await write(ada, ' ')
    await ada.keyboard.press('Backspace')
    ready = true
    await menu.locator('option', { hasText: 'Java 21.0.5' }).waitFor({ state: 'attached' })
    await menu.selectOption('java')
    await bob.locator('.tag.language', { hasText: 'Java' }).waitFor()
    for (const page of [ada, bob]) await page.locator('.cm-editor[data-language=java]').waitFor()
    await bob.getByRole('button', { name: 'Start with a small Java program' }).click()
    await ada.locator('.tok-keyword', { hasText: 'public' }).first().waitFor()

    await menu.selectOption('python')
    await bob.locator('.tag.language', { hasText: 'Python 3.11.2' }).waitFor()
    for (const page of [ada, bob]) await page.unroute('**/api/v1/languages')
  })

  test('a session in a language that nobody offers yet says why it cannot be run', async () => {
    await bob.route('**/api/v1/languages', (route) => route.fulfill({
      json: { items: [{ id: 'python', name: 'Python', versions: [], available: false }] }
    }))
    await bob.reload()
    await live(bob)
    await bob.locator('button.run[aria-disabled=true]').click({ force: true })
    await told(bob, 'Python is being prepared')
    await bob.unroute('**/api/v1/languages')
  })

  test('a reload keeps the login and finds the session as it was', async () => {
    await write(ada, 'print("kept")')
    await line(bob, 'kept').waitFor()
    await bob.reload()
    await live(bob)
    await shows(bob, 'print("kept")')
  })

  test('a lost network is told, and what is typed meanwhile arrives', async () => {
    bobsWire.cut()
    await bob.locator('.connection[data-state=offline]', { hasText: 'Offline' }).waitFor()
    await editor(bob).click()
    await bob.keyboard.press('Control+End')
    await bob.keyboard.insertText('  # later')
    assert.doesNotMatch(await code(ada), /later/)
    bobsWire.mend()
    await live(bob)
    await line(ada, '# later').waitFor()
  })

  test('a wide page and a narrow one show everything, without scrolling to the side', async () => {
    for (const [width, height] of [[1600, 900], [360, 740]]) {
      await ada.setViewportSize({ width, height })
      await until(`${width} pixels are enough`, () => ada.evaluate((width) => innerWidth === width && document.documentElement.scrollWidth <= width, width))
      for (const button of [runButton(ada), ada.getByRole('button', { name: 'Share' })]) assert.ok(await button.isVisible())
    }
    await ada.setViewportSize({ width: 1280, height: 720 })
  })

  test('who signs out is signed out at once, and after a reload too', async () => {
    // The edge closes the room's socket before it answers: nothing may ask for another token then.
    let answer
    const shown = new Promise((resolve) => { answer = resolve })
    await bob.route('**/auth/logout', async (route) => {
      const response = await route.fetch()
      await shown
      await route.fulfill({ response })
    })
    const answered = bob.waitForResponse('**/auth/logout')
    await bob.getByRole('button', { name: 'Sign out' }).click()
    await bob.getByLabel('Password').waitFor()
    answer()
    assert.equal((await answered).status(), 204)
    await bob.reload()
    await bob.getByLabel('Password').waitFor()
  })

  test('nothing was blocked or broken on the way', () => {
    assert.deepEqual(ada.faults, [])
    // The browser itself reports each attempt to connect over the wire that was cut.
    assert.deepEqual(bob.faults.filter((fault) => !/WebSocket connection to .* failed|ERR_(CONNECTION|EMPTY|NETWORK|SOCKET)/.test(fault)), [])
  })
})
