// A program in a terminal on the page: one begins it, both watch, both type, Ctrl-C ends it.
//
// SCREENSHOT=docs/terminal.png also takes a picture of it.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { output, runButton, stopButton, together, verdict, write } from './page-visit.mjs'
import { noBrowser } from './support/browser.mjs'
import { until } from './support/wait.mjs'

const SCREENSHOT = process.env.SCREENSHOT
const PROGRAM = `import shutil
name = input("What is your name? ")
print(f"\\x1b[1mHello, {name}!\\x1b[0m", shutil.get_terminal_size().columns, "columns")
while True:
    said = input("> ")
    print("You said", said, "in", shutil.get_terminal_size().columns)
`

/** Asks where the cursor is, says that it was told, and tells everything that comes until an x. */
const ASKING = String.raw`import sys, termios, tty
tty.setcbreak(0)
print("where?\x1b[6n", end="", flush=True)
told = b""
while not told.endswith(b"x"):
    told += sys.stdin.buffer.raw.read(1)
    if told.endswith(b"R"):
        print("\nthere", end="", flush=True)
print("\ntold", told[:-1], "x")
`

const terminal = (page) => page.locator('.xterm-rows')
const terminalButton = (page) => page.getByRole('button', { name: 'Terminal', exact: true })
const shows = (page, words) => terminal(page).filter({ hasText: words }).waitFor()
const at = (page) => page.locator('.xterm-helper-textarea')

describe('a terminal on the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob

  before(async () => {
    [ada, bob] = await together(browsers, 'Talking programs')
    await write(ada, PROGRAM)
  })
  after(() => Promise.all(browsers.map((browser) => browser.close())))

  /** Ada runs what she sees, which shows `words` to both. The keys are the program's once the edge has answered. */
  async function begin (words) {
    await terminalButton(ada).click()
    await Promise.all([ada, bob].map((page) => shows(page, words)))
    await until('the keys go to the program', () => ada.evaluate(() => document.activeElement.className.includes('xterm')))
  }

  test('a prompt without a newline is shown to both, and whoever began it answers at once', async () => {
    await begin('What is your name?')
    await ada.keyboard.type('Ada\n')
    await Promise.all([ada, bob].map((page) => shows(page, 'Hello, Ada!')))
    await stopButton(bob).waitFor()
  })

  test('the program has the width that the page has, and hears of another', async () => {
    const [, told] = await until('it tells', async () => /(\d+) columns/.exec(await terminal(ada).textContent()))
    const columns = Number(told)
    assert.ok(columns > 20 && columns !== 80, `${columns} columns`)
    await ada.setViewportSize({ width: 1600, height: 800 })
    // Its page measures itself first: whoever asks too early is told the old width.
    for (let asked = 1; ; asked += 1) {
      await ada.keyboard.type(`again ${asked}\n`)
      // With what comes behind it: a number may come in two pieces.
      const answer = new RegExp(`again ${asked} in (\\d+)\\D`)
      const [, now] = await until('it answers', async () => answer.exec(await terminal(bob).textContent()))
      if (Number(now) > columns) break
      assert.ok(asked < 50, `${now} columns, as before`)
    }
    await ada.setViewportSize({ width: 1280, height: 720 })
  })

  test('somebody else who may run the code types too', async () => {
    await at(bob).focus()
    await bob.keyboard.type('ho ho\n')
    await Promise.all([ada, bob].map((page) => shows(page, 'You said ho ho')))
    await at(ada).focus()
    await ada.keyboard.type('höhö 🦀\n')
    await Promise.all([ada, bob].map((page) => shows(page, 'You said höhö 🦀')))
    if (SCREENSHOT) await ada.screenshot({ path: SCREENSHOT })
  })

  test('what is typed comes back soon', async (t) => {
    const letters = 'abcdefghijklmnopqrst'
    const took = []
    for (let typed = 1; typed <= letters.length; typed += 1) {
      const begun = performance.now()
      await ada.keyboard.type(letters[typed - 1])
      await ada.waitForFunction((echo) => document.querySelector('.xterm-rows').textContent.includes(echo), `> ${letters.slice(0, typed)}`)
      took.push(performance.now() - begun)
    }
    took.sort((a, b) => a - b)
    t.diagnostic(`from key to echo: p50 ${took[10].toFixed(0)} ms, p95 ${took[18].toFixed(0)} ms`)
  })

  test('a question to the terminal has one answer, although two watch', async () => {
    await ada.keyboard.press('Control+c')
    await runButton(ada).waitFor()
    await write(ada, ASKING)
    await begin('where?')
    await Promise.all([ada, bob].map((page) => shows(page, 'there')))
    // Bob's terminal has read the question too: had it an answer, that would come before his x.
    await at(bob).focus()
    await bob.keyboard.type('x')
    await Promise.all([ada, bob].map((page) => shows(page, "told b'\\x1b[1;7R' x")))
    await runButton(ada).waitFor()
    await write(ada, PROGRAM)
    await begin('What is your name?')
    await ada.keyboard.type('Ada\nho ho\n')
    await Promise.all([ada, bob].map((page) => shows(page, 'You said ho ho')))
  })

  test('Ctrl-C reaches the program, and its end is told', async () => {
    await at(ada).focus()
    await ada.keyboard.press('Control+c')
    for (const page of [ada, bob]) {
      await shows(page, 'KeyboardInterrupt')
      await verdict(page, /^(Crashed with SIGINT|Ended with exit code 130)/)
      await runButton(page).waitFor()
    }
  })

  test('a run without a terminal is shown as before', async () => {
    await write(ada, 'print("plain")')
    await runButton(ada).click()
    await output(ada).getByText('plain').waitFor()
    assert.equal(await terminal(ada).isVisible(), false)
    assert.equal((await output(ada).innerText()).trim(), 'plain')
  })

  test('a terminal run from the history looks as it did', async () => {
    await ada.getByRole('tab', { name: 'Runs' }).click()
    await ada.locator('.run-row').nth(1).click()
    await shows(ada, 'You said ho ho')
    await shows(ada, 'KeyboardInterrupt')
  })

  test('nothing was blocked or broken on the way', () => {
    assert.deepEqual([...ada.faults, ...bob.faults], [])
  })
})
