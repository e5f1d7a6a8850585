// Chromium, driven by playwright-core. A browser of the tool's own is not needed.

import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const EXECUTABLE = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Why there is no browser; false if there is one. */
export const noBrowser = EXECUTABLE !== undefined && existsSync(EXECUTABLE)
  ? false
  : 'needs Chromium: apt-get install chromium, or its path in CHROMIUM'

/** One process of its own, with nothing kept from earlier ones. */
export const launch = () => chromium.launch({
  executablePath: EXECUTABLE,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'
  ]
})
