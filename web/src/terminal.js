// Shows a transcript on a terminal, and tells what is typed there. The emulator is loaded with the
// first run that needs one.

import { h } from './dom.js'

/**
 * What a program can ask its terminal (ECMA-48 DA and DSR, DECRQM, DECRQSS, colours). Everybody who
 * watches has a terminal, and the program wants one answer: that of the page that began it. What
 * another page shows may also be long past.
 */
const QUESTIONS = {
  Csi: [
    { final: 'c' }, { prefix: '>', final: 'c' }, { prefix: '=', final: 'c' },
    { final: 'n' }, { prefix: '?', final: 'n' },
    { intermediates: '$', final: 'p' }, { prefix: '?', intermediates: '$', final: 'p' },
    { prefix: '>', final: 'q' }, { final: 't' }
  ],
  Dcs: [{ intermediates: '$', final: 'q' }],
  Osc: [4, 10, 11, 12]
}

/** Of a terminal that is not on the screen yet. */
const USUAL = { columns: 80, rows: 24 }

/**
 * @param {object} options
 * @param {(text: string) => void} options.onText
 * @param {(size: { columns: number, rows: number }) => void} options.onRoom another size would fit
 */
export function createTerminal ({ onText, onRoom }) {
  const element = h('div', { class: 'output-terminal', hidden: true })
  const screen = h('div', { class: 'screen', role: 'group', 'aria-label': 'Terminal' })
  element.append(screen)
  /** @type {Promise<object> | null} */
  let loading = null
  let emulator = null
  let wanted = null
  let key = null
  /** What was written of each block. @type {Map<number, string>} */
  let written = new Map()
  let frame = null
  let destroyed = false

  function load () {
    loading ??= Promise.all([import('@xterm/xterm'), import('@xterm/addon-fit')]).then(([{ Terminal }, { FitAddon }]) => {
      if (destroyed) return null
      const terminal = new Terminal({
        fontFamily: getComputedStyle(document.body).getPropertyValue('--mono'),
        fontSize: 13.5,
        scrollback: 5_000,
        screenReaderMode: true,
        // A pipe's newline; a terminal's own output has both already.
        convertEol: true,
        theme: theme()
      })
      const fit = new FitAddon()
      terminal.loadAddon(fit)
      terminal.open(screen)
      terminal.onData((text) => { if (wanted?.typing) onText(text) })
      for (const [kind, ids] of Object.entries(QUESTIONS)) {
        for (const id of ids) terminal.parser[`register${kind}Handler`](id, () => !wanted?.answering)
      }
      // So that whoever came by the Tab key leaves by it; the program gets the other one.
      terminal.attachCustomKeyEventHandler((event) => !(event.key === 'Tab' && event.shiftKey) && !(event.ctrlKey && event.key === 'Enter'))
      takeInserted(terminal.textarea)
      emulator = { terminal, fit }
      draw()
      return emulator
    })
    return loading
  }

  /** Text without a key, from an emoji picker or a dictation: the emulator passes it over when it speaks. */
  function takeInserted (area) {
    let key = false
    area.addEventListener('keydown', () => { key = true }, { capture: true })
    area.addEventListener('keyup', () => { key = false }, { capture: true })
    area.addEventListener('input', ({ inputType, data, isComposing }) => {
      if (inputType === 'insertText' && data && !isComposing && !key && wanted?.typing) onText(data)
    })
  }

  function draw () {
    frame = null
    if (emulator === null || wanted === null) return
    const { terminal } = emulator
    terminal.options.disableStdin = !wanted.typing
    terminal.options.cursorBlink = wanted.typing
    const { columns, rows } = wanted.size
    if (terminal.cols !== columns || terminal.rows !== rows) terminal.resize(columns, rows)
    if (wanted.key !== key || !continues(wanted.blocks)) {
      terminal.reset()
      written = new Map()
      key = wanted.key
    }
    for (const { id, text } of wanted.blocks) {
      const before = written.get(id) ?? ''
      if (text.length > before.length) terminal.write(text.slice(before.length))
      written.set(id, text)
    }
  }

  /** Whether the blocks only go on from what was written; what fell out of the middle stays. */
  const continues = (blocks) => blocks.every(({ id, text }) => text.startsWith(written.get(id) ?? ''))

  const proposed = () => {
    const size = emulator?.fit.proposeDimensions()
    return size === undefined || !(size.cols > 1 && size.rows > 1) ? USUAL : { columns: Math.min(size.cols, 500), rows: Math.min(size.rows, 200) }
  }

  const observer = new ResizeObserver(() => {
    if (emulator === null || element.hidden || wanted === null) return
    const { columns, rows } = proposed()
    if (columns !== wanted.size.columns || rows !== wanted.size.rows) onRoom({ columns, rows })
  })
  observer.observe(element)

  const dark = matchMedia('(prefers-color-scheme: dark)')
  const recolor = () => { if (emulator !== null) emulator.terminal.options.theme = theme() }
  dark.addEventListener('change', recolor)

  return {
    element,
    /** The size that fits, once the emulator is there. Shows the terminal, which has none while it is hidden. */
    async room () {
      element.hidden = false
      await load()
      return proposed()
    },
    /**
     * @param {string} ofRun what is shown of another run is cleared first
     * @param {import('./transcript.js').Transcript} transcript
     * @param {{ size: { columns: number, rows: number }, typing: boolean, answering: boolean }} how
     */
    render (ofRun, transcript, { size, typing, answering }) {
      const blocks = transcript.blocks.filter(({ stream }) => stream !== 'gap')
      wanted = { key: ofRun, blocks, size: size ?? USUAL, typing, answering }
      if (emulator === null) load()
      frame ??= requestAnimationFrame(draw)
    },
    focus: () => emulator?.terminal.focus(),
    destroy () {
      destroyed = true
      observer.disconnect()
      dark.removeEventListener('change', recolor)
      cancelAnimationFrame(frame)
      emulator?.terminal.dispose()
    }
  }
}

/** The page's colours. */
function theme () {
  const style = getComputedStyle(document.body)
  const color = (name) => style.getPropertyValue(`--${name}`).trim()
  return {
    background: color('panel'),
    foreground: color('text'),
    cursor: color('accent'),
    cursorAccent: color('panel'),
    selectionBackground: color('selection'),
    red: color('bad'),
    yellow: color('warn'),
    green: color('accent'),
    blue: color('tok-function'),
    magenta: color('tok-keyword')
  }
}
