// The program's arguments from one line, split as a shell does: at spaces, with quotes around what
// belongs together and a backslash before what is meant as it stands. Nothing is expanded.

/**
 * @param {string} line
 * @returns {string[]} throws a SyntaxError with words for a person if a quote is not closed
 */
export function splitArguments (line) {
  const found = []
  let word = null
  let quote = null
  for (let i = 0; i < line.length; i += 1) {
    const letter = line[i]
    if (letter === '\\' && quote !== "'" && i + 1 < line.length) {
      i += 1
      word = (word ?? '') + line[i]
    } else if (quote !== null) {
      if (letter === quote) quote = null
      else word += letter
    } else if (letter === '"' || letter === "'") {
      quote = letter
      word ??= ''
    } else if (/\s/.test(letter)) {
      if (word !== null) found.push(word)
      word = null
    } else {
      word = (word ?? '') + letter
    }
  }
  if (quote !== null) throw new SyntaxError(`The arguments have a ${quote} that is not closed.`)
  if (word !== null) found.push(word)
  return found
}
