// Chromium, driven by playwright-core. A browser of the tool's own is not needed.

import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const EXECUTABLE = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Why there is no browser; false if there is one. */
export const noBrowser = EXECUTABLE !== undefined && existsSync(EXECUTABLE)
  ? false
  : 'needs Chromium: apt-get install chromium, or its path in CHROMIUM'

/** The first start on a machine that is cold and busy takes long. */
const START_MS_MAX = 120_000

/** One process of its own, with nothing kept from earlier ones. */
export const launch = () => chromium.launch({
  executablePath: EXECUTABLE,
  timeout: START_MS_MAX,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'
  ]
})
