// Where one stands, in words: the connection, and what one may do. Pure; shown in one place.

import { EDITOR, OWNER, VIEWER, mayEdit, roleName } from './roles.js'

const CONNECTION = {
  connecting: 'Connecting…',
  live: 'Connected',
  offline: 'Offline: what you type is kept, and sent when the connection is back',
  ended: 'Disconnected'
}

/** @param {{ kind: keyof CONNECTION }} state */
export const connectionWords = ({ kind }) => CONNECTION[kind]

/** @param {{ role: string, locked: boolean }} access */
export function accessWords (access) {
  const { role, locked } = access
  if (locked && role === OWNER) return 'Owner · locked: only you can edit'
  if (locked) return `${roleName(role)} · locked: only the owner can edit`
  if (role === VIEWER) return 'Viewer · you can read and watch'
  if (role === EDITOR) return 'Editor'
  return mayEdit(access) ? roleName(role) : `${roleName(role)} · read-only`
}

/**
 * What somebody who is here is doing.
 * @param {{ typing: boolean, idle: boolean }} person
 */
export const doing = ({ typing, idle }) => typing ? 'typing' : idle ? 'idle' : 'watching'

/** The same in words, with their tabs; nothing is said of who is simply here. */
export function presenceWords (person) {
  const { tabs } = person
  const does = { typing: 'typing', idle: 'idle', watching: '' }[doing(person)]
  return [does, tabs > 1 && `${tabs} tabs`].filter(Boolean).join(' · ')
}

/** @param {boolean} saved whether the room has stored all that was typed here */
export const savedWords = (saved) => saved ? 'Saved' : 'Not saved yet'
