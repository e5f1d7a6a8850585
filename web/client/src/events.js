// Server-sent events as they are written in HTML's standard, as far as a room uses them.

/**
 * Takes a stream apart, piece by piece.
 *
 * @returns {(piece: string) => { event: string, data: string, id: string, retryMs: number }[]} the
 *   events that end in a piece; also those without data, which only say how far the stream is
 *   (`id`), or when to open the next (`retryMs`, 0 if nothing is said)
 */
export function createEventParser () {
  let rest = ''
  let event = ''
  let data = []
  let id = ''
  let retryMs = 0
  return (piece) => {
    const events = []
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop()
    for (const line of lines) {
      if (line === '') {
        if (event !== '' || data.length > 0 || id !== '') events.push({ event, data: data.join('\n'), id, retryMs })
        event = ''
        data = []
        id = ''
        retryMs = 0
        continue
      }
      const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line)
      if (name === 'event') event = value
      else if (name === 'data') data.push(value)
      else if (name === 'id') id = value
      else if (name === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value)
    }
    return events
  }
}
