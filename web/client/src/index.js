// What `@codecrafter/client` exports.

export * as closeCodes from './close-codes.js'
export { colorOf, safeColor } from './colors.js'
export { FeedClient } from './feed-client.js'
export { HistoryPlayer, HistoryReader, applyStep } from './history.js'
export { RoomClient } from './room-client.js'
