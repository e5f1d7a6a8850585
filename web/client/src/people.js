// Who is here, from what each client says of itself: one entry for a person, however many tabs they
// have open. Pure.

import { safeColor } from './colors.js'

const NAME_CHARS_MAX = 50

/**
 * @typedef {object} Person
 * @property {string} id of the account; the room vouches for it
 * @property {string} name as others see it
 * @property {string | undefined} role
 * @property {string} color `#rrggbb`
 * @property {boolean} self
 * @property {number} tabs how many clients they have here
 * @property {boolean} typing in any of them
 * @property {boolean} idle in all of them
 */

/**
 * @param {Map<number, any>} states by client
 * @param {number} self this client
 * @returns {Person[]} oneself first, then in the order in which their clients are told of
 */
export function peopleOf (states, self) {
  /** @type {Map<string, Person>} */
  const found = new Map()
  const own = states.get(self)
  const others = [...states].filter(([client]) => client !== self)
  for (const [client, state] of own === undefined ? others : [[self, own], ...others]) {
    const { user } = state
    if (user === undefined || user === null || typeof user !== 'object') continue
    const typing = state.typing === true
    const idle = state.idle === true
    const known = found.get(user.id)
    if (known === undefined) {
      const { id, name, role, color } = user
      found.set(id, { id, name, role, color, self: client === self, tabs: 1, typing, idle })
    } else {
      known.tabs += 1
      known.typing ||= typing
      known.idle &&= idle
    }
  }
  return [...found.values()]
}

/**
 * Leaves of `state.user` what can be shown without a doubt: editor bindings put the colour into a
 * style attribute, and whatever else is in it would be a peer's say in how a page looks.
 *
 * @param {any} state of another client; changed in place
 * @param {number} client
 */
export function plainUser (state, client) {
  const { id = client, name, role, color } = state.user ?? {}
  if (typeof name !== 'string') {
    delete state.user
    return
  }
  const safe = safeColor(color, String(id))
  state.user = { id: String(id), name: name.slice(0, NAME_CHARS_MAX), role: String(role), color: safe, colorLight: `${safe}33` }
}
