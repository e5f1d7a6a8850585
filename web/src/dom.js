// Builds elements. Text goes in as text nodes only: there is no way to hand HTML to this module,
// and no other module creates elements, so nothing that a person wrote can become markup.

/**
 * `h('button', { class: 'primary', onclick: run }, 'Run')`.
 *
 * A property that is a function is a listener (`onclick`), `true` is a bare attribute, and
 * `false`, `null` or `undefined` leave the attribute or the child out.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string | number | false | null | undefined)} children
 * @returns {HTMLElement}
 */
export function h (tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value != null) element.setAttribute(name, String(value))
  }
  element.append(...children.filter((child) => child !== false && child != null).map((child) =>
    child instanceof Node ? child : String(child)))
  return element
}

/** Replaces what `parent` shows. */
export function show (parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== false && child != null))
}
