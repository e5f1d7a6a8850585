// Sign in, or make an account: one form, with other fields.

import { ApiError } from './api.js'
import { h } from './dom.js'

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {boolean} options.invited whether a shared session waits behind this
 * @param {() => void} options.onSignedIn
 */
export function signInView ({ api, invited, onSignedIn }) {
  const username = field('User name', { name: 'username', autocomplete: 'username', required: true, minlength: 3, maxlength: 30 })
  const login = field('User name or mail address', { name: 'login', autocomplete: 'username', required: true })
  const displayName = field('Name that others see (optional)', { name: 'displayName', autocomplete: 'name', minlength: 2, maxlength: 50 })
  const email = field('Mail address', { name: 'email', type: 'email', autocomplete: 'email', required: true })
  const password = field('Password', { name: 'password', type: 'password', required: true, maxlength: 128 })
  const problem = h('p', { class: 'problem', role: 'alert' })
  const submit = h('button', { class: 'primary', type: 'submit' })
  const heading = h('h1')
  const swap = h('button', { class: 'link', type: 'button', onclick: () => choose(!registering) })
  const fields = h('div', { class: 'fields' })
  const form = h('form', { class: 'card', onsubmit: send }, heading,
    invited && h('p', { class: 'muted' }, 'Somebody shared a session with you. It opens when you are signed in.'),
    fields, problem, submit, swap)
  let registering

  function choose (register) {
    registering = register
    heading.textContent = register ? 'Create an account' : 'Sign in'
    submit.textContent = heading.textContent
    swap.textContent = register ? 'I have an account' : 'I am new here'
    password.input.autocomplete = register ? 'new-password' : 'current-password'
    password.input.minLength = register ? 8 : 0
    const visible = register ? [username, email, password, displayName] : [login, password]
    fields.replaceChildren(...visible.map(({ element }) => element))
    complain('', [])
    visible[0].input.focus()
  }

  function complain (words, errors) {
    const known = { username, login, email, password, displayName }
    for (const { input, hint } of Object.values(known)) {
      hint.textContent = ''
      input.removeAttribute('aria-invalid')
    }
    for (const { field: name, message } of errors) {
      if (!(name in known)) continue
      known[name].hint.textContent = message
      known[name].input.setAttribute('aria-invalid', 'true')
    }
    problem.textContent = words
  }

  async function send (event) {
    event.preventDefault()
    complain('', [])
    submit.disabled = true
    try {
      if (registering) {
        const shown = displayName.input.value.trim()
        await api.register({
          username: username.input.value.trim(),
          email: email.input.value.trim(),
          password: password.input.value,
          ...(shown === '' ? {} : { displayName: shown })
        })
      } else {
        await api.signIn(login.input.value.trim(), password.input.value)
      }
      onSignedIn()
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      complain(error.message, error.errors)
    } finally {
      submit.disabled = false
    }
  }

  choose(invited)
  const about = h('div', { class: 'about' },
    h('p', { class: 'claim' }, 'Write code together. Run it where it can do no harm.'),
    h('p', { class: 'muted' }, 'Share a link, type at the same time, and see the program’s output live, all of you.'))
  return { element: h('main', { class: 'entrance' }, about, form), focus: () => fields.querySelector('input').focus() }
}

let ids = 0

function field (label, attributes) {
  const id = `field-${ids += 1}`
  const hint = h('span', { class: 'hint', id: `${id}-hint` })
  const input = h('input', { id, 'aria-describedby': hint.id, spellcheck: 'false', autocapitalize: 'none', ...attributes })
  return { element: h('div', { class: 'field' }, h('label', { for: id }, label), input, hint), input, hint }
}
