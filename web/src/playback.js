// Playback: what the document was at any moment of its history, whose edit led there, and when. The
// document itself stays as it is, unless one brings that moment back.

import { HistoryPlayer, HistoryReader } from '../client/src/index.js'
import { ApiError } from './api.js'
import { createDialog } from './dialog.js'
import { h, show } from './dom.js'
import { mayEdit } from './roles.js'
import { dayAndTime } from './times.js'

const SPEEDS = [2, 5, 10, 20]

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./room.js').Room} options.room
 * @param {(work: () => Promise<unknown>) => Promise<unknown>} options.attempt null if it was refused, which is then shown
 * @param {(sessionId: string) => void} options.onForked
 */
export async function openPlayback ({ api, room, attempt, onForked }) {
  const sessionId = room.session.id
  const history = new HistoryReader({ read: (query) => api.history(sessionId, query) })
  if (await attempt(() => history.open()) === null) return
  const player = new HistoryPlayer({ history, stepsPerSecond: SPEEDS[1] })

  const play = h('button', { type: 'button', class: 'primary', onclick: toggle }, 'Play')
  const slider = h('input', { type: 'range', min: history.start, max: history.last, value: history.start, step: 1, 'aria-label': 'Moment', oninput: () => leap(), onkeydown: onKey })
  const speed = h('select', { 'aria-label': 'Speed', onchange: () => { player.stepsPerSecond = Number(speed.value) } },
    ...SPEEDS.map((steps) => h('option', { value: steps, selected: steps === player.stepsPerSecond }, `${steps} steps a second`)))
  const words = h('p', { class: 'muted playback-words' })
  const problem = h('p', { class: 'problem', role: 'alert' })
  const body = h('div', { class: 'version-body', tabindex: 0, 'aria-label': 'Text at that moment' })
  const restore = h('button', { type: 'button', class: 'primary', onclick: () => act(() => api.restoreStep(sessionId, player.moment.number)) }, 'Restore')
  const fork = h('button', { type: 'button', onclick: () => act(async () => onForked((await api.fork(sessionId, { step: player.moment.number })).id)) }, 'Fork')
  const dialog = createDialog('Playback',
    h('div', { class: 'playback-controls' }, play, slider, speed), words, problem, body,
    h('div', { class: 'dialog-foot' }, fork, restore))
  dialog.classList.add('version-dialog')
  dialog.addEventListener('close', () => { player.destroy(); room.off('access', allow); dialog.remove() }, { once: true })

  function toggle () {
    problem.textContent = ''
    if (player.playing) player.pause()
    else player.play()
  }

  function leap () {
    problem.textContent = ''
    player.pause()
    player.seek(Number(slider.value))
  }

  function onKey (event) {
    if (event.key !== ' ') return
    event.preventDefault()
    toggle()
  }

  async function act (work) {
    problem.textContent = ''
    player.pause()
    try {
      await work()
      dialog.close()
    } catch (error) {
      fail(error)
    }
  }

  function fail (error) {
    if (!(error instanceof ApiError)) throw error
    problem.textContent = error.message
  }

  function render (moment) {
    slider.value = String(moment.number)
    words.textContent = momentWords(moment, history)
    slider.setAttribute('aria-valuetext', words.textContent)
    // Before all steps there may be none to name it by.
    restore.disabled = fork.disabled = history.last < history.first
    show(body, ...textParts(moment))
    body.querySelector('mark')?.scrollIntoView({ block: 'nearest' })
  }

  function allow () {
    restore.hidden = !mayEdit(room.access)
  }

  player.on('moment', render)
  player.on('playing', (playing) => { play.textContent = playing ? 'Pause' : 'Play' })
  player.on('error', fail)
  room.on('access', allow)
  allow()
  document.body.append(dialog)
  dialog.showModal()
  slider.focus()
  await player.seek(history.start)
}

/** @param {import('../client/src/index.js').Moment} moment */
export function momentWords ({ number, step, people }, { start, last }) {
  const place = `Step ${number - start} of ${last - start}`
  if (number === start) return [place, 'before the first edit that is kept'].join(' · ')
  if (step === null) return [place, 'cannot be read any more'].join(' · ')
  const names = people.map(({ displayName }) => displayName ?? 'somebody who has left')
  return [place, names.length === 0 ? 'the session began with this' : names.join(' and '), dayAndTime(step.at)].join(' · ')
}

/** Every file, and in those that the step has changed, what it has put there. */
function textParts ({ text, step }) {
  const splices = (path) => step?.files.find((file) => file.path === path)?.splices ?? []
  return [
    h('pre', { class: 'version-text' }, ...marked(text.content, splices(null))),
    ...text.files.flatMap(({ path, content }) => [h('h3', {}, path), h('pre', { class: 'version-text' }, ...marked(content, splices(path)))])
  ]
}

/** The text in pieces: what a step has inserted is marked, and where it has only removed, an empty mark. */
export function piecesOf (text, splices) {
  const pieces = []
  let [seen, shift] = [0, 0]
  for (const { at, removed, inserted } of splices) {
    const from = at + shift
    pieces.push({ text: text.slice(seen, from), marked: false }, { text: inserted, marked: true })
    seen = from + inserted.length
    shift += inserted.length - removed
  }
  pieces.push({ text: text.slice(seen), marked: false })
  return pieces.filter(({ text, marked }) => marked || text !== '')
}

const marked = (text, splices) => piecesOf(text, splices).map((piece) =>
  piece.marked ? h('mark', { class: piece.text === '' ? 'gone' : '' }, piece.text) : piece.text)
