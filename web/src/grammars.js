// How each language is coloured and indented. A grammar is loaded when a session needs it: most
// people use one or two of them. Languages without one are edited as plain text, some indented as
// their people do.

import { indentUnit } from '@codemirror/language'

const FOUR_SPACES = indentUnit.of('    ')
const TAB = indentUnit.of('\t')

const cpp = async () => [(await import('@codemirror/lang-cpp')).cpp(), FOUR_SPACES]

const python = async () => [(await import('@codemirror/lang-python')).python(), FOUR_SPACES]

const fourSpaces = async () => FOUR_SPACES

const LOADERS = {
  c: cpp,
  cpp,
  csharp: fourSpaces,
  go: async () => [(await import('@codemirror/lang-go')).go(), TAB],
  java: async () => [(await import('@codemirror/lang-java')).java(), FOUR_SPACES],
  javascript: async () => (await import('@codemirror/lang-javascript')).javascript(),
  kotlin: fourSpaces,
  perl: fourSpaces,
  php: fourSpaces,
  python,
  'python-data': python,
  rust: async () => [(await import('@codemirror/lang-rust')).rust(), FOUR_SPACES],
  typescript: async () => (await import('@codemirror/lang-javascript')).javascript({ typescript: true })
}

/**
 * @param {string} language
 * @returns {Promise<import('@codemirror/state').Extension>}
 */
export async function grammarOf (language) {
  try {
    return await (LOADERS[language]?.() ?? [])
  } catch {
    // Without colours one can still write.
    return []
  }
}
