// How a run ended, as a sentence with what it took. Pure.

/** What a signal most often means; others are named only. */
const SIGNALS = {
  SIGSEGV: 'it used memory that is not its own',
  SIGABRT: 'it gave up by itself',
  SIGFPE: 'it made an impossible calculation, such as a division by zero',
  SIGILL: 'it met an instruction that does not exist',
  SIGBUS: 'it used memory in an impossible way',
  SIGKILL: 'it was killed'
}

/** A word or two, for lists. */
const SHORT = {
  accepted: 'Finished',
  wrong_answer: 'Wrong answer',
  runtime_error: 'Runtime error',
  time_limit: 'Time limit',
  output_limit: 'Output limit',
  memory_limit: 'Memory limit',
  compile_error: 'Does not compile',
  expired: 'No executor',
  cancelled: 'Stopped',
  internal_error: 'Executor failed'
}

const SENTENCES = {
  accepted: () => 'Finished',
  wrong_answer: () => 'Wrote something else than expected',
  runtime_error: ({ exitCode, signal }) => {
    if (signal != null) return `Crashed with ${signal}${signal in SIGNALS ? ` (${SIGNALS[signal]})` : ''}`
    return exitCode == null ? 'Ended with an error' : `Ended with exit code ${exitCode}`
  },
  time_limit: () => 'Stopped at its time limit',
  output_limit: () => 'Stopped for writing too much',
  memory_limit: () => 'Stopped at its memory limit',
  compile_error: () => 'Does not compile',
  expired: () => 'No executor answered in time',
  cancelled: () => 'Stopped by request',
  internal_error: () => 'The executor failed; it was not the program’s fault'
}

/** Where what was used says something about the program. */
const MEASURED = new Set(['accepted', 'wrong_answer', 'runtime_error', 'time_limit', 'output_limit', 'memory_limit', 'cancelled'])

/** @param {string} verdict */
export const shortVerdict = (verdict) => SHORT[verdict] ?? verdict

/**
 * “Finished in 312 ms, using 9.2 MiB.”
 * @param {{ verdict: string, exitCode?: number | null, signal?: string | null, wallMs?: number | null, peakBytes?: number | null }} ended
 */
export function sentence (ended) {
  const { verdict, wallMs, peakBytes } = ended
  const how = SENTENCES[verdict]?.(ended) ?? `Ended as ${verdict}`
  if (!MEASURED.has(verdict)) return `${how}.`
  const time = wallMs == null ? '' : ` ${verdict === 'accepted' ? 'in' : 'after'} ${duration(wallMs)}`
  const memory = peakBytes == null ? '' : `, using ${bytes(peakBytes)}`
  return `${how}${time}${memory}.`
}

/** @param {number} ms */
export const duration = (ms) => ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(2)} s`

/** @param {number} count */
export function bytes (count) {
  if (count < 1024) return `${count} B`
  if (count < 2 ** 20) return `${(count / 1024).toFixed(1)} KiB`
  return `${(count / 2 ** 20).toFixed(1)} MiB`
}
