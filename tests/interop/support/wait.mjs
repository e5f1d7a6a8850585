// Waiting for things to happen, never for time to pass.

const LOOK_MS = 10

/**
 * What `look` finds as soon as it finds something.
 *
 * @template T
 * @param {string} what completes "… did not happen", for the one who reads the failure
 * @param {() => T | Promise<T>} look
 * @param {number} [limitMs] how long it may take before that is a failure: long enough for a machine
 *   that is slow and busy, unless the time itself is what is promised
 * @returns {Promise<T>}
 */
export async function until (what, look, limitMs = 60_000) {
  const limit = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > limit) throw new Error(`${what}: did not happen within ${limitMs / 1000} s`)
    await pause(LOOK_MS)
  }
}

/** Lets `ms` pass: for whoever types at the speed of a person, or waits for a platform's own delay. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
