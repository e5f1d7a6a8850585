// A colour for a person, the same in every browser. White text is readable on all of them
// (contrast of at least 4.5), and all stand out from a white and from a dark page.

const COLORS = ['#1a73b8', '#b3541e', '#0d7a5f', '#9b3fb5', '#c2334d', '#6a5fc7', '#7a6a00', '#a63d7a']

/** @param {string} id of a user */
export function colorOf (id) {
  let hash = 0
  for (const letter of id) hash = (Math.imul(hash, 31) + letter.codePointAt(0)) | 0
  return COLORS[Math.abs(hash) % COLORS.length]
}

const HEX = /^#[0-9a-f]{6}$/i

/** `color` if it is a plain hexadecimal one, else that of `id`: what others send is not trusted. */
export const safeColor = (color, id) => HEX.test(color) ? color : colorOf(id)
