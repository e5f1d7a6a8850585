// One trace from the click to the container and back: whoever looks for what a person did finds all
// of it under one id, wherever it happened.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createSession, output, register, runButton, verdict, visit, write } from './page-visit.mjs'
import { launch, noBrowser } from './support/browser.mjs'
import { collector, noCollector } from './support/collector.mjs'
import { edgeUrl } from './support/edge.mjs'
import { until } from './support/wait.mjs'

/** Says which container it is in: the engine has mounted a file of that name for it. */
const PROGRAM = [
  'import re',
  'mounts = open("/proc/self/mountinfo").read()',
  'print("in", *re.findall("([0-9a-f]{64})/hostname", mounts))'
].join('\n')
const PATIENCE_MS = 60_000

describe('a trace', { skip: noBrowser || noCollector, concurrency: false }, () => {
  let browser, ada, told

  before(async () => {
    told = await collector()
    browser = await launch()
    ada = await visit(browser, edgeUrl())
    await register(ada, 'Ada Lovelace')
    await createSession(ada, 'Traced')
  })
  after(async () => {
    await browser?.close()
    told?.close()
  })

  test('goes from the click to the container and back, in one piece', async () => {
    await write(ada, PROGRAM)
    const asked = ada.waitForResponse((response) => response.url().endsWith('/executions') && response.request().method() === 'POST')
    await runButton(ada).click()
    const answer = await asked
    const execution = await answer.json()
    await verdict(ada, /^Finished/)
    const [, container] = await until('the container is named', async () => /in ([0-9a-f]{64})/.exec(await output(ada).innerText()))

    // The click: the page's request begins it, and what it gets back names it.
    const [, trace, click] = answer.request().headers().traceparent.match(/^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/)
    assert.equal(execution.traceId, trace)

    const span = (what, is) => until(what, () => told.spans.find((span) => span.traceId === trace && is(span)), PATIENCE_MS)
    const below = (parent, name) => span(name, (span) => span.parentSpanId === parent && span.name === name)
    // The edge takes it in, a host takes it up below that, a container runs it, and the edge gets
    // what came of it.
    const accepted = await below(click, 'accept')
    assert.deepEqual([accepted.service, accepted.kind], ['codecrafter-edge', 2])
    const attempt = await below(accepted.spanId, 'attempt')
    assert.equal(attempt.service, 'codecrafter-executor-host')
    assert.equal(attempt.verdict, 'accepted')
    for (const name of ['queue', 'dispatch', 'run', 'publish']) {
      const part = await below(attempt.spanId, name)
      assert.ok(part.startTimeUnixNano <= part.endTimeUnixNano, name)
      if (name === 'run') assert.equal(part['container.id'], container)
    }
    const result = await below(attempt.spanId, 'result')
    assert.equal(result.service, 'codecrafter-edge')
    for (const of of [accepted, attempt, result]) assert.equal(of['execution.id'], execution.id)
    assert.equal(result['attempt.id'], attempt['attempt.id'])
    assert.ok(told.spans.every((span) => !JSON.stringify(span).includes('mountinfo')), 'code is in no span')
  })
})
