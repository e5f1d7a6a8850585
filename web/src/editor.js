// The editor: CodeMirror bound to the room's text. Owns how it looks, its keys and whether it can
// be typed into; knows nothing of sessions or runs.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, indentWithTab } from '@codemirror/commands'
import { bracketMatching, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search'
import { Compartment, EditorState } from '@codemirror/state'
import {
  drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers, placeholder
} from '@codemirror/view'
import { classHighlighter } from '@lezer/highlight'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import { grammarOf } from './grammars.js'
import { remoteSelections } from './remote-selections.js'

/**
 * @param {object} options
 * @param {import('./room.js').Room} options.room
 * @param {() => void} options.onRun Ctrl-Enter was pressed
 */
export function createEditor ({ room, onRun }) {
  const editability = new Compartment()
  const grammar = new Compartment()
  let language = null
  const view = new EditorView({
    state: EditorState.create({
      doc: room.text.toString(),
      extensions: [
        keymap.of([{ key: 'Mod-Enter', run: () => { onRun(); return true } }]),
        keymap.of([
          ...yUndoManagerKeymap, ...closeBracketsKeymap, ...completionKeymap, ...searchKeymap,
          ...defaultKeymap, indentWithTab
        ]),
        lineNumbers(), highlightActiveLine(), highlightActiveLineGutter(), drawSelection(),
        indentOnInput(), bracketMatching(), closeBrackets(), autocompletion(), highlightSelectionMatches(),
        placeholder('Type here. Others see it as you type.'),
        grammar.of([]),
        syntaxHighlighting(classHighlighter),
        yCollab(room.text, null),
        remoteSelections(room.text, room.awareness),
        editability.of(editable(false)),
        // Tab indents here, so the way out by keyboard is told to those who need it.
        EditorView.contentAttributes.of({ 'aria-label': 'Code. Press Escape, then Tab, to leave the editor.' })
      ]
    })
  })
  return {
    element: view.dom,
    focus: () => view.focus(),
    destroy: () => view.destroy(),
    /** @param {boolean} allowed */
    setEditable (allowed) {
      if (allowed !== view.state.readOnly) return
      view.dispatch({ effects: editability.reconfigure(editable(allowed)) })
    },
    /** @param {string} id */
    async setLanguage (id) {
      if (id === language) return
      language = id
      view.dom.dataset.language = id
      const extension = await grammarOf(id)
      if (id === language) view.dispatch({ effects: grammar.reconfigure(extension) })
    }
  }
}

/** A read-only document can still be focused, selected and copied. */
const editable = (allowed) => [EditorState.readOnly.of(!allowed), EditorView.editorAttributes.of({
  class: allowed ? '' : 'read-only'
})]
