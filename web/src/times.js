// Times as people read them.

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' })

/** The time alone if that was today. @param {string} time RFC 3339 */
export function clockTime (time) {
  const date = new Date(time)
  return date.toDateString() === new Date().toDateString() ? CLOCK.format(date) : DAY.format(date)
}

/** @param {string} time RFC 3339 */
export const dayAndTime = (time) => DAY.format(new Date(time))
