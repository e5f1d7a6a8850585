// What the program is given: arguments and standard input. Each person's own; a run takes those of
// whoever asks for it.

import { splitArguments } from './arguments.js'
import { h } from './dom.js'

export function createInputPanel () {
  const args = h('input', { id: 'args', spellcheck: 'false', autocomplete: 'off', autocapitalize: 'none', placeholder: '--verbose "two words"' })
  const stdin = h('textarea', { id: 'stdin', rows: 4, spellcheck: 'false', autocapitalize: 'none', placeholder: 'What the program reads' })
  const panel = h('div', { class: 'input-panel' },
    h('div', { class: 'field' }, h('label', { for: 'args' }, 'Arguments'), args),
    h('div', { class: 'field grow' }, h('label', { for: 'stdin' }, 'Input (stdin)'), stdin))
  return {
    panel,
    /** @returns {{ stdin?: string, args?: string[] }} throws a SyntaxError with words for a person */
    read () {
      const words = splitArguments(args.value)
      return { ...(stdin.value === '' ? {} : { stdin: stdin.value }), ...(words.length === 0 ? {} : { args: words }) }
    },
    /** Whether there is any, so that the tab can tell. */
    get filled () { return args.value.trim() !== '' || stdin.value !== '' },
    onInput (listener) {
      panel.addEventListener('input', listener)
    }
  }
}
