// The gate of rooms in a process of its own: `edge/examples/gate.rs`, which says what is asked for.

import { spawn } from 'node:child_process'

const HEAD_BYTES = 5

export class Gate {
  /** @param {string} path of the program */
  constructor (path) {
    this.process = spawn(path, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.read = Buffer.alloc(0)
    /** Who waits for the next answer. */
    this.waiting = null
    this.process.stdout.on('data', (chunk) => {
      this.read = Buffer.concat([this.read, chunk])
      this.answer()
    })
    this.process.on('exit', (code, signal) => this.waiting?.reject(new Error(`the gate ended with ${signal ?? code}`)))
  }

  answer () {
    if (this.waiting === null || this.read.length < HEAD_BYTES) return
    const end = HEAD_BYTES + this.read.readUInt32LE(1)
    if (this.read.length < end) return
    const bytes = new Uint8Array(this.read.subarray(HEAD_BYTES, end))
    const kind = String.fromCharCode(this.read[0])
    this.read = this.read.subarray(end)
    const { resolve } = this.waiting
    this.waiting = null
    resolve({ kind, bytes })
  }

  ask (kind, bytes = new Uint8Array()) {
    const head = Buffer.alloc(HEAD_BYTES)
    head.write(kind)
    head.writeUInt32LE(bytes.length, 1)
    this.process.stdin.write(Buffer.concat([head, bytes]))
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
      this.answer()
    })
  }

  async restart () { await this.ask('n') }

  /** @returns {Promise<{told?: Uint8Array, refused?: string}>} */
  async take (update) {
    const { kind, bytes } = await this.ask('u', update)
    return kind === 't' ? { told: bytes } : { refused: new TextDecoder().decode(bytes) }
  }

  async lacking (vector) { return (await this.ask('l', vector)).bytes }

  async vector () { return (await this.ask('v')).bytes }

  async state () { return (await this.ask('s')).bytes }

  end () { this.process.stdin.end() }
}
