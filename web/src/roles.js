// Who may do what, as the page offers it. The edge decides: this only keeps buttons away from
// people who would be refused. Pure; the rules are those of `shared/src/role.rs`.

export const VIEWER = 'viewer'
export const EDITOR = 'editor'
export const ADMIN = 'admin'
export const OWNER = 'owner'

const RANKS = [VIEWER, EDITOR, ADMIN, OWNER]
const rank = (role) => RANKS.indexOf(role)

/** What a role is about, in words. */
export const MEANINGS = {
  [VIEWER]: 'reads and watches',
  [EDITOR]: 'edits and runs',
  [ADMIN]: 'also changes settings and people',
  [OWNER]: 'may do everything'
}

/** @param {{ role: string, locked: boolean }} access */
export const mayEdit = ({ role, locked }) => locked ? role === OWNER : rank(role) >= rank(EDITOR)
/** @param {string} role */
export const mayRun = (role) => rank(role) >= rank(EDITOR)
/** @param {string} role */
export const mayAdminister = (role) => rank(role) >= rank(ADMIN)

/** Roles that somebody with the role `own` may give to others. */
export const givable = (own) => mayAdminister(own) ? RANKS.filter((role) => role !== OWNER && rank(role) <= rank(own)) : []

/** Whether somebody with the role `own` may change or remove a participant with the role `other`. */
export const mayManage = (own, other) => mayAdminister(own) && rank(other) < rank(own)

/** `Editor` */
export const roleName = (role) => role.charAt(0).toUpperCase() + role.slice(1)
