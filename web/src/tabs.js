// A row of tabs over panels, with the keys of the WAI-ARIA pattern: arrows, Home and End.

import { h } from './dom.js'

let groups = 0

/**
 * @param {string} label
 * @param {{ id: string, name: string, panel: HTMLElement, onShow?: () => void }[]} tabs
 */
export function createTabs (label, tabs) {
  const prefix = `tabs-${groups += 1}`
  const buttons = tabs.map(({ id, name }) => h('button', {
    type: 'button', role: 'tab', id: `${prefix}-${id}`, 'aria-controls': `${prefix}-${id}-panel`, onclick: () => choose(id)
  }, name))
  const list = h('div', { role: 'tablist', class: 'tablist', 'aria-label': label, onkeydown: move }, ...buttons)
  tabs.forEach(({ id, panel }) => {
    panel.id = `${prefix}-${id}-panel`
    panel.setAttribute('role', 'tabpanel')
    panel.setAttribute('aria-labelledby', `${prefix}-${id}`)
    panel.tabIndex = -1
  })

  function choose (chosen, { focus = false } = {}) {
    tabs.forEach(({ id, panel, onShow }, i) => {
      const selected = id === chosen
      buttons[i].setAttribute('aria-selected', String(selected))
      buttons[i].tabIndex = selected ? 0 : -1
      panel.hidden = !selected
      if (selected) {
        if (focus) buttons[i].focus()
        onShow?.()
      }
    })
  }

  function move (event) {
    const at = buttons.indexOf(document.activeElement)
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key]
    if (at < 0 || next === undefined) return
    event.preventDefault()
    choose(tabs[(next + tabs.length) % tabs.length].id, { focus: true })
  }

  choose(tabs[0].id)
  return {
    list,
    choose,
    /** @param {string} id @param {string} name */
    rename (id, name) {
      buttons[tabs.findIndex((tab) => tab.id === id)].textContent = name
    }
  }
}
