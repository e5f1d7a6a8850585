// A person's feed: what they are told, wherever they are, and what was missed while it was away. What
// keeps it connected is in `connected.js`.

import { Connected } from './connected.js'
import { openFeedSocket, openFeedStream } from './feed-lines.js'

/**
 * Events:
 * - `status` ({ status, code, error }): as of a room
 * - `stale` (): ask for the list; at first, and when it cannot be said what was missed
 * - `notification` (Notification): something has happened; each once, in order
 * - `unread` (number): how many were not read
 */
export class FeedClient extends Connected {
  /**
   * @param {object} options
   * @param {(options: { signal: AbortSignal }) => Promise<any>} options.connect what
   *   `POST /notifications/connect` answers; an error with a `status` of 400 to 499 is final,
   *   but for 429, which is tried again after its `retryAfterSeconds`
   * @param {string} options.origin of the edge, such as `https://code.example.org`
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {typeof fetch} [options.fetch]
   * @param {EventTarget | null} [options.page] tells of the network and of being put away
   */
  constructor ({ connect, ...options }) {
    super(options)
    this.getFeed = connect
    /** How far this client is. @type {import('./feed-lines.js').Mark | null} */
    this.mark = null
    /** How many were not read, as far as this client was told. */
    this.unread = 0
  }

  ask (options) { return this.getFeed(options) }

  wayOf ({ feedToken, feedTokenExpiresAt, socketUrl, eventsUrl }) {
    return { token: feedToken, expiresAt: feedTokenExpiresAt, path: socketUrl ?? eventsUrl, byStream: socketUrl == null }
  }

  lineTo ({ url, token, byStream }, ends) {
    const { WebSocket, fetch, mark: after } = this
    return byStream
      ? openFeedStream({ url, token, after, fetch }, ends)
      : openFeedSocket({ url, token, after, WebSocket }, ends)
  }

  // ---- What the feed says ----

  receive (frame, n) {
    switch (frame.type) {
      case 'hello': {
        const isStale = this.mark === null || frame.gap
        // What was missed follows, and is counted as it comes.
        this.mark = { seq: isStale ? frame.seq : this.mark.seq, readSeq: frame.readSeq }
        this.happens({ type: 'synced', n })
        if (isStale) this.emit('stale', [])
        return this.count(frame.unread)
      }
      case 'notification': {
        const { notification, unread } = frame
        if (this.mark === null || notification.seq <= this.mark.seq) return
        this.mark = { ...this.mark, seq: notification.seq }
        this.count(unread)
        return this.emit('notification', [notification])
      }
      case 'read':
        if (this.mark !== null) this.mark = { ...this.mark, readSeq: frame.readSeq }
        return this.count(frame.unread)
    }
  }

  count (unread) {
    if (unread === this.unread) return
    this.unread = unread
    this.emit('unread', [unread])
  }
}
