// Who belongs to the session, in which role, and who of them is here, or online elsewhere. Those who may, add and
// remove people, change roles and hand the session over; its owner may delete it, the others leave.

import { ApiError } from './api.js'
import { badge } from './badge.js'
import { confirmed } from './dialog.js'
import { h, show } from './dom.js'
import { EDITOR, MEANINGS, OWNER, givable, mayAdminister, mayManage, roleName } from './roles.js'
import { presenceWords } from './standing.js'

/**
 * @param {object} options
 * @param {import('./session-info.js').SessionInfo} options.info
 * @param {string} options.selfId
 * @param {() => void} options.onLeft
 */
export function createParticipantsPanel ({ info, selfId, onLeft }) {
  const list = h('ul', { class: 'participants', 'aria-label': 'Participants' })
  const problem = h('p', { class: 'problem', role: 'alert' })
  const username = h('input', { name: 'username', required: true, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', placeholder: 'User name', 'aria-label': 'User name of whom to add' })
  const role = h('select', { 'aria-label': 'Role of whom to add' })
  const add = h('form', { class: 'add-person', onsubmit: addPerson }, username, role, h('button', { type: 'submit' }, 'Add'))
  const leave = h('button', { type: 'button', class: 'link', onclick: leaveSession }, 'Leave this session')
  const erase = h('button', { type: 'button', class: 'link danger', onclick: deleteSession }, 'Delete this session')
  const panel = h('div', { class: 'people-panel' }, list, problem, add, leave, erase)
  /** @type {Map<string, { color: string, words: string }>} who is here */
  let here = new Map()
  /** Who is online, in this room or anywhere else. */
  let online = new Set()
  let drawn = ''

  /** Says what was refused, and shows again what is true. */
  async function attempt (work) {
    problem.textContent = ''
    try {
      await work()
      return true
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      problem.textContent = [error.message, ...error.errors.map(({ field, message }) => `${field} ${message}.`)].join(' ')
      drawn = ''
      render()
      return false
    }
  }

  async function addPerson (event) {
    event.preventDefault()
    const name = username.value.trim()
    const added = await attempt(() => info.change((api, id) => api.addParticipant(id, name, role.value)))
    // Whoever went on meanwhile keeps what they have typed, and where.
    if (added && username.value.trim() === name) username.value = ''
    if (document.activeElement === document.body || add.contains(document.activeElement)) username.focus()
  }

  async function changeRole (person, select) {
    if (select.value !== OWNER) return attempt(() => info.change((api, id) => api.changeRole(id, person.userId, select.value)))
    const sure = await confirmed({
      title: 'Hand this session over?',
      words: `${person.displayName} becomes the owner, and you an admin. Only the new owner can give it back.`,
      action: 'Hand over'
    })
    if (sure) return attempt(() => info.change((api, id) => api.transfer(id, person.userId)))
    select.value = person.role
  }

  async function remove (person) {
    const sure = await confirmed({
      title: `Remove ${person.displayName}?`,
      words: info.session.isPublic
        ? 'They are disconnected at once. As the session is public, they may join again: make it private to keep them out.'
        : 'They are disconnected at once and cannot open the session any more.',
      action: 'Remove'
    })
    if (sure) await attempt(() => info.change((api, id) => api.removeParticipant(id, person.userId)))
  }

  async function leaveSession () {
    const sure = await confirmed({
      title: 'Leave this session?',
      words: info.session.isPublic ? 'You can come back with its link.' : 'It is private: to come back, somebody has to add you.',
      action: 'Leave'
    })
    if (sure && await attempt(() => info.change((api, id) => api.leave(id)))) onLeft()
  }

  async function deleteSession () {
    const sure = await confirmed({
      title: 'Delete this session?',
      words: 'Its code and its runs are gone for everybody, at once.',
      action: 'Delete'
    })
    if (sure && await attempt(() => info.api.deleteSession(info.session.id))) onLeft()
  }

  function row (person) {
    const { userId, displayName } = person
    const present = here.get(userId)
    const self = userId === selfId
    const standing = present !== undefined ? 'here' : online.has(userId) ? 'online' : 'away'
    return h('li', { class: standing, 'data-user': userId },
      badge(displayName, present?.color),
      h('span', { class: 'person' },
        h('span', { class: 'person-name' }, self ? `${displayName} (you)` : displayName),
        h('span', { class: 'muted' }, [person.username, standing, present?.words].filter(Boolean).join(' · '))),
      roleOf(person, self),
      !self && mayManage(info.role, person.role) && h('button', { type: 'button', class: 'quiet', 'aria-label': `Remove ${displayName}`, title: `Remove ${displayName}`, onclick: () => remove(person) }, '✕'))
  }

  function roleOf (person, self) {
    const changeable = !self && mayManage(info.role, person.role)
    if (!changeable) return h('span', { class: 'tag', title: MEANINGS[person.role] }, roleName(person.role))
    const select = h('select', { 'aria-label': `Role of ${person.displayName}`, onchange: () => changeRole(person, select) },
      ...givable(info.role).map((role) => h('option', { value: role }, roleName(role))),
      info.role === OWNER && h('option', { value: OWNER }, 'Owner…'))
    select.value = person.role
    return select
  }

  /** Drawn anew only when something differs, so that a menu that is open stays open. */
  function render () {
    const { participants } = info.session
    const now = JSON.stringify([info.role, info.session.isPublic, participants, [...here], [...online]])
    if (now === drawn) return
    drawn = now
    const focused = document.activeElement
    const refocus = panel.contains(focused) ? [focused.closest('[data-user]')?.dataset.user, focused.tagName] : null
    const sorted = [...participants].sort((a, b) => (b.userId === selfId) - (a.userId === selfId) || here.has(b.userId) - here.has(a.userId) || online.has(b.userId) - online.has(a.userId))
    show(list, ...sorted.map(row))
    if (refocus?.[0] !== undefined) list.querySelector(`[data-user="${CSS.escape(refocus[0])}"] ${refocus[1]}`)?.focus()

    add.hidden = !mayAdminister(info.role)
    if (role.childElementCount !== givable(info.role).length) {
      show(role, ...givable(info.role).map((each) => h('option', { value: each, selected: each === EDITOR }, roleName(each))))
    }
    leave.hidden = info.role === OWNER || info.role === null
    erase.hidden = info.role !== OWNER
  }

  info.on('change', render)
  render()
  return {
    panel,
    render,
    /** @param {ReturnType<import('./room.js').Room['people']>} people */
    setPresent (people) {
      here = new Map(people.map((each) => [each.id, { color: each.color, words: presenceWords(each) }]))
      render()
    },
    /** @param {string[]} userIds */
    setOnline (userIds) {
      online = new Set([...userIds].sort())
      render()
    }
  }
}
