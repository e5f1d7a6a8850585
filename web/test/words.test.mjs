// The small pure parts: verdicts, arguments, roles, versions, starters, where one stands.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitArguments } from '../src/arguments.js'
import { inFull, shortVersion, withVersion } from '../src/languages.js'
import { givable, mayEdit, mayManage } from '../src/roles.js'
import { accessWords, presenceWords } from '../src/standing.js'
import { offersStarter, starterOf } from '../src/starters.js'
import { sentence } from '../src/verdict.js'

test('a verdict is a sentence with time and memory, and with what ended the program', () => {
  const used = { wallMs: 312, peakBytes: 9.2 * 2 ** 20 }
  assert.equal(sentence({ verdict: 'accepted', exitCode: 0, ...used }), 'Finished in 312 ms, using 9.2 MiB.')
  assert.equal(sentence({ verdict: 'runtime_error', exitCode: 3, ...used }), 'Ended with exit code 3 after 312 ms, using 9.2 MiB.')
  assert.match(sentence({ verdict: 'runtime_error', signal: 'SIGSEGV', exitCode: null, ...used }), /^Crashed with SIGSEGV \(.*\) after 312 ms/)
  assert.equal(sentence({ verdict: 'time_limit', wallMs: 10_040 }), 'Stopped at its time limit after 10.04 s.')
  assert.equal(sentence({ verdict: 'compile_error', wallMs: 900 }), 'Does not compile.')
  assert.equal(sentence({ verdict: 'cancelled' }), 'Stopped by request.')
  assert.equal(sentence({ verdict: 'of_the_future' }), 'Ended as of_the_future.')
})

test('arguments are split as a shell does', () => {
  assert.deepEqual(splitArguments(`  -v "two words" 'a \\ "b"' `), ['-v', 'two words', 'a \\ "b"'])
  assert.deepEqual(splitArguments('a\\ b "say \\"hi\\"" \'\' "" c""d'), ['a b', 'say "hi"', '', '', 'cd'])
  assert.deepEqual(splitArguments(''), [])
  assert.throws(() => splitArguments('"open'), SyntaxError)
})

test('an admin manages those below, and gives no role above the own', () => {
  assert.deepEqual(givable('admin'), ['viewer', 'editor', 'admin'])
  assert.deepEqual(givable('editor'), [])
  assert.ok(mayManage('admin', 'editor') && mayManage('owner', 'admin'))
  assert.ok(!mayManage('admin', 'admin') && !mayManage('owner', 'owner') && !mayManage('editor', 'viewer'))
})

test('a locked session is edited by its owner only, and says so to everybody', () => {
  assert.ok(mayEdit({ role: 'owner', locked: true }) && !mayEdit({ role: 'admin', locked: true }))
  assert.ok(mayEdit({ role: 'editor', locked: false }) && !mayEdit({ role: 'viewer', locked: false }))
  assert.match(accessWords({ role: 'editor', locked: true }), /only the owner/)
  assert.match(accessWords({ role: 'viewer', locked: false }), /read/)
})

test('a version is found in what each runtime prints', () => {
  const printed = {
    'Python 3.11.2': '3.11.2',
    'v18.19.0': '18.19.0',
    'gcc (Debian 12.2.0-14+deb12u1) 12.2.0': '12.2.0',
    'openjdk 17.0.13 2024-10-15': '17.0.13',
    'go version go1.19.8 linux/amd64': '1.19.8',
    'rustc 1.63.0': '1.63.0',
    nightly: 'nightly'
  }
  for (const [text, version] of Object.entries(printed)) assert.equal(shortVersion(text), version)
  assert.equal(withVersion({ name: 'Go', versions: [] }), 'Go')
})

test('what a runtime printed is shown in full, with the end of its life where it is known', () => {
  const python = { name: 'Python', versions: ['Python 3.13.5', 'Python 3.11.2'] }
  assert.equal(inFull(python), 'Python 3.13.5\nPython 3.11.2')
  assert.equal(inFull({ ...python, endOfLife: '2029-10-31' }), 'Python 3.13.5, security fixes until 2029-10-31\nPython 3.11.2')
  assert.equal(inFull({ name: 'Go', versions: [] }), '')
})

test('a starter is offered for nothing and for another starter, never for somebody’s work', () => {
  assert.ok(offersStarter('java', '  \n'))
  assert.ok(offersStarter('java', starterOf('python')))
  assert.ok(!offersStarter('java', starterOf('java')))
  assert.ok(!offersStarter('java', 'print(1)'))
  assert.ok(!offersStarter('cobol', ''))
})

test('what somebody is doing is told once for all their tabs, and nothing is said of who is just here', () => {
  const words = (person) => presenceWords({ tabs: 1, typing: false, idle: false, ...person })
  assert.equal(words({}), '')
  assert.equal(words({ typing: true }), 'typing')
  assert.equal(words({ idle: true }), 'idle')
  assert.equal(words({ typing: true, idle: true, tabs: 3 }), 'typing · 3 tabs')
})
