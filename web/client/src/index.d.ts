// The types of `@codecrafter/client`, in the words of docs/realtime.md and docs/api.md.

import type { Awareness } from 'y-protocols/awareness'
import type { Doc } from 'yjs'

export type Role = 'viewer' | 'editor' | 'admin' | 'owner'

/**
 * - `idle`: `connect` was not called yet, or `disconnect` was
 * - `connecting`: for the first time
 * - `live`: the document here is the room's
 * - `offline`: it tries again by itself; edits are kept
 * - `ended`: it does not try again until `connect` is called
 */
export type Status = 'idle' | 'connecting' | 'live' | 'offline' | 'ended'

export interface StatusChange {
  status: Status
  /** Why the room closed the connection for good; see `closeCodes`. */
  code: number | null
  /** What joining was refused with. */
  error: unknown
}

/** What `POST /api/v1/sessions/{id}/join` answers, as far as it is read here. */
export interface Joined {
  session: { id: string }
  roomToken: string
  roomTokenExpiresAt?: string
  /** Where rooms are WebSockets. */
  roomUrl?: string | null
  /** Where they are event streams instead. */
  roomStreamUrl?: string | null
}

/** What this client may do. */
export interface Access {
  role: Role
  locked: boolean
}

/** Somebody who is here, with however many tabs. */
export interface Person {
  /** The account: the room vouches for it. */
  id: string
  name: string
  role: Role | undefined
  /** `#rrggbb` */
  color: string
  self: boolean
  /** How many clients they have here. */
  tabs: number
  /** In any of them. */
  typing: boolean
  /** In all of them. */
  idle: boolean
}

/** A frame of the room's own: `runStarted`, `runOutput` and what else docs/realtime.md lists. */
export interface AppFrame {
  type: string
  [field: string]: unknown
}

export interface Events {
  status: (change: StatusChange) => void
  access: (access: Access) => void
  people: (people: Person[]) => void
  /** Whether the room has stored all edits of this client. */
  saved: (saved: boolean) => void
  /** The room has not taken an edit; in its words, why. */
  denied: (reason: string) => void
  frame: (frame: AppFrame) => void
}

export interface RoomOptions {
  /**
   * Gets a room token. An error with a `status` of 400 to 499 is final, any other is tried again; so is
   * 429, after the error's `retryAfterSeconds`.
   */
  join: (options: { signal: AbortSignal }) => Promise<Joined>
  /** Of the edge, such as `https://code.example.org`. */
  origin: string
  /** What `join` has answered, if it was called already. */
  joined?: Joined
  doc?: Doc
  awareness?: Awareness
  /** Who this is. Others are told by the room; without it, oneself is not among `people`. */
  user?: { id: string, name: string, color: string }
  /** Without activity for so long, one is shown as idle. */
  idleMs?: number
  WebSocket?: typeof globalThis.WebSocket
  fetch?: typeof globalThis.fetch
  /** Tells of the network, of being put away and of activity. The window, where there is one. */
  page?: EventTarget | null
}

export class RoomClient {
  constructor (options: RoomOptions)
  readonly doc: Doc
  readonly awareness: Awareness
  readonly status: Status
  /** Null until the room has said so. */
  readonly access: Access | null
  /** Whether the room has stored all edits of this client. */
  readonly saved: boolean
  /** Oneself first. */
  people (): Person[]
  connect (): void
  /** Others see at once that one has left; edits are kept in the document. */
  disconnect (): void
  /** Says something of this client to everybody, in a field of its awareness state. */
  say (field: string, value: unknown): void
  /** Somebody is at this client, in a way that `page` does not tell of. */
  active (): void
  /** Leaves for good: no timer, listener or socket stays. */
  destroy (): void
  on<E extends keyof Events> (event: E, listener: Events[E]): void
  once<E extends keyof Events> (event: E, listener: Events[E]): void
  off<E extends keyof Events> (event: E, listener: Events[E]): void
}

/** What `POST /api/v1/notifications/connect` answers, as far as it is read here. */
export interface FeedPass {
  feedToken: string
  feedTokenExpiresAt?: string
  /** Where feeds are WebSockets. */
  socketUrl?: string | null
  eventsUrl: string
}

/** Something that a person is told; docs/api.md has the kinds of `event`. */
export interface Notification {
  seq: number
  at: string
  read: boolean
  event: { type: string, [field: string]: unknown }
}

export interface FeedEvents {
  status: (change: StatusChange) => void
  /** Ask for the list: at first, and when it cannot be said what was missed. */
  stale: () => void
  /** Each once, in order. */
  notification: (notification: Notification) => void
  unread: (unread: number) => void
}

export interface FeedOptions {
  /** Gets a feed token. Its errors mean what those of `join` do. */
  connect: (options: { signal: AbortSignal }) => Promise<FeedPass>
  origin: string
  WebSocket?: typeof globalThis.WebSocket
  fetch?: typeof globalThis.fetch
  page?: EventTarget | null
}

/** What one person is told, wherever they are. */
export class FeedClient {
  constructor (options: FeedOptions)
  readonly status: Status
  readonly unread: number
  connect (): void
  disconnect (): void
  destroy (): void
  on<E extends keyof FeedEvents> (event: E, listener: FeedEvents[E]): void
  once<E extends keyof FeedEvents> (event: E, listener: FeedEvents[E]): void
  off<E extends keyof FeedEvents> (event: E, listener: FeedEvents[E]): void
}

/** The text of a document: main file, and further files sorted by path. */
export interface HistoryText {
  content: string
  files: { path: string, content: string }[]
}

/** What the same people have changed within a second. */
export interface HistoryStep {
  /** From 1. */
  number: number
  at: string
  /** Nobody, if the session began with it. */
  userIds: string[]
  files: {
    /** Null for the main file. */
    path: string | null
    change: 'changed' | 'added' | 'removed'
    /** In UTF-16 units, at positions before the step. */
    splices: { at: number, removed: number, inserted: string }[]
  }[]
}

/** What `GET /api/v1/sessions/{id}/history` answers. */
export interface HistoryPage {
  first: number
  last: number
  from: number
  start: HistoryText
  steps: HistoryStep[]
  people: { userId: string, displayName: string }[]
  next: number | null
}

/** What the document was after a step. */
export interface Moment {
  /** The step; one less than the first that is kept for the moment before that. */
  number: number
  text: HistoryText
  /** Null before the first step, and where it cannot be read any more. */
  step: HistoryStep | null
  /** Who has made it. Without a name: who has no account any more. */
  people: { userId: string, displayName: string | null }[]
}

/** The text with a step made in it; what is given stays as it was. */
export function applyStep (text: HistoryText, step: HistoryStep): HistoryText

/** Reads a session's history page by page, and keeps the pages that were read last. */
export class HistoryReader {
  constructor (options: { read: (query: { from: number, limit: number }) => Promise<HistoryPage> })
  /** The first step that is kept; null until `open` is done. */
  readonly first: number | null
  readonly last: number | null
  /** The moment before the first step. */
  readonly start: number | null
  /** Finds out what there is, and later what has come since. */
  open (): Promise<this>
  /** The document after a step; the nearest moment, if that is none. */
  at (number: number): Promise<Moment>
}

export interface PlayerEvents {
  moment: (moment: Moment) => void
  playing: (playing: boolean) => void
  /** A page could not be read: it stands still. */
  error: (error: unknown) => void
}

/** Goes through a history; the document is not touched. */
export class HistoryPlayer {
  constructor (options: { history: HistoryReader, stepsPerSecond?: number })
  readonly moment: Moment | null
  readonly playing: boolean
  /** May be changed while it plays. */
  stepsPerSecond: number
  /** Of several that are asked for at once, the last is shown. */
  seek (number: number): Promise<void>
  /** So many steps on, or back. */
  move (steps: number): Promise<void>
  /** Goes on by itself; from the end, it begins anew. */
  play (): Promise<void>
  pause (): void
  destroy (): void
  on<E extends keyof PlayerEvents> (event: E, listener: PlayerEvents[E]): void
  once<E extends keyof PlayerEvents> (event: E, listener: PlayerEvents[E]): void
  off<E extends keyof PlayerEvents> (event: E, listener: PlayerEvents[E]): void
}

export const closeCodes: {
  readonly MALFORMED: 4400
  readonly UNAUTHORIZED: 4401
  readonly FORBIDDEN: 4403
  readonly NOT_FOUND: 4404
  readonly CONFLICT: 4409
  readonly TOO_LARGE: 4413
  readonly OVERLOADED: 4503
  readonly TOO_FAST: 4529
  isFinal (code: number): boolean
  asksForPatience (code: number): boolean
}

/** A colour for a person, the same everywhere. */
export function colorOf (id: string): string
/** `color` if it is a plain hexadecimal one, else that of `id`. */
export function safeColor (color: unknown, id: string): string
