// Pages in headless Chromium that send through the unmodified @segment/analytics-next and through our own snippet:
// `node segment_browser.cjs HOME URL KEY N PORT`, HOME being the folder that holds node_modules, KEY an admin key, PORT where
// the pages are served. Prints what each page sent and what of it the server has, as JSON.
'use strict'
const { spawn, execFileSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')
const [home, url, adminKey, count, port] = process.argv.slice(2)
const umd = path.join(home, 'node_modules/@segment/analytics-next/dist/umd')

const browser = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => {
  try { execFileSync(name, ['--version'], { stdio: 'pipe' }); return true } catch { return false }
})
if (!browser) {
  console.log(JSON.stringify({ browser: null, pages: [] }))
  process.exit(0)
}

const ask = async (method, where, body) => {
  const answer = await fetch(url + where, {
    method, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' }
  })
  if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
const stored = async () => (await ask('GET', '/v1/streams')).streams?.calls?.records ?? 0

// Every page reports { sent, errors } to /done, and waits at /go where it has to.
const report = `const report = (told) => fetch('/done', { method: 'POST', body: JSON.stringify(told) });
const errors = []; addEventListener('unhandledrejection', (e) => errors.push(String(e.reason)));`
const withSegment = (strategy) => `<script src="/umd/index.js"></script><script>${report}
(async () => {
  const { AnalyticsBrowser } = window.AnalyticsNext
  const integrations = { 'Segment.io': { deliveryStrategy: ${strategy} } }
  const analytics = AnalyticsBrowser.load({ writeKey: KEY, cdnURL: URL_ }, { integrations })
  analytics.on('error', (e) => errors.push(String(e.reason ?? e.code)))
  analytics.on('delivery_failure', () => errors.push('delivery_failure'))
  await analytics
  const all = []
  for (let n = 0; n < N; n += 1) {
    switch (n % 6) {
      case 0: all.push(analytics.identify('b' + n % 10, { plan: 'free' })); break
      case 1: all.push(analytics.track('Button Clicked', { label: 'Grüße 🎉' })); break
      case 2: all.push(analytics.page('Home')); break
      case 3: all.push(analytics.group('g1', { name: 'Werk' })); break
      case 4: all.push(analytics.screen('Start')); break
      default: all.push(analytics.alias('b' + n % 10))
    }
  }
  await Promise.all(all)
  report({ sent: N, errors })
})().catch((e) => report({ sent: -1, errors: [String(e)] }))</script>`
const withSnippet = (says) => `<script>window.mr = [["page"], ["identify", "s1"]]</script>
<script src="${url}/v1/snippet.js" data-key="KEY_" data-needs="analytics"></script><script>${report}
(async () => {
  for (let n = 2; n < N; n += 1) mr.track('Button Clicked', { label: 'Grüße 🎉' })
  await fetch('/go')
  const before = localStorage.length
  mr.consent({ analytics: ${says} }, 'wording-3')
  report({ sent: ${says} ? N : 0, errors, stored_before: before, stored_after: ${says} ? null : localStorage.length })
})()</script>`

async function main () {
  const writeKey = (await ask('POST', '/v1/keys', { name: 'web', scopes: ['track'] })).key
  const fill = (page) => '<!doctype html><meta charset="utf-8"><title>Shop</title>' + page
    .replaceAll('KEY_', writeKey).replaceAll('KEY', JSON.stringify(writeKey))
    .replaceAll('URL_', JSON.stringify(url)).replaceAll(/\bN\b/g, count)
  const pages = {
    standard: fill(withSegment('undefined')),
    batching: fill(withSegment(`{ strategy: 'batching', config: { size: 25, timeout: 300 } }`)),
    'snippet, yes': fill(withSnippet(true)),
    'snippet, no': fill(withSnippet(false))
  }
  let current = ''
  let told = () => {}
  let early = 0
  let base = 0
  const server = http.createServer(async (request, response) => {
    if (request.url === '/done') {
      let text = ''
      for await (const part of request) text += part
      response.end()
      told(JSON.parse(text))
    } else if (request.url === '/go') {
      // What the page said so far must not have gone out: it is given time to.
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      early = (await stored()) - base
      response.end()
    } else if (request.url.startsWith('/umd/')) {
      const file = path.join(umd, path.basename(request.url))
      response.setHeader('content-type', 'text/javascript; charset=utf-8')
      response.end(fs.existsSync(file) ? fs.readFileSync(file) : '')
    } else {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.end(pages[current])
    }
  })
  await new Promise((resolve) => server.listen(Number(port), 'localhost', resolve))
  const seen = []
  for (const name of Object.keys(pages)) {
    current = name
    early = 0
    base = await stored()
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'browser-'))
    const done = new Promise((resolve) => { told = resolve })
    const late = new Promise((resolve) => setTimeout(() => resolve({ sent: -1, errors: ['the page did not report'] }), 60_000).unref())
    const child = spawn(browser, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
      '--no-first-run', `--user-data-dir=${profile}`, `http://localhost:${port}/`], { stdio: 'ignore', detached: true })
    const page = await Promise.race([done, late])
    // The page stays open until everything is there, as a reader's would; a page that may send nothing gets time to.
    const until = Date.now() + (page.sent > 0 ? 30_000 : 1_500)
    let here = (await stored()) - base
    while (Date.now() < until && (page.sent === 0 || here < page.sent)) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      here = (await stored()) - base
    }
    const ended = new Promise((resolve) => child.once('exit', resolve))
    process.kill(-child.pid, 'SIGKILL')
    await ended
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    seen.push({ name, ...page, stored: here, early })
  }
  const said = await ask('GET', '/v1/consents?kind=user_id&value=s1')
  server.close()
  const version = execFileSync(browser, ['--version']).toString().trim()
  const sdk = JSON.parse(fs.readFileSync(path.join(umd, '../../package.json'))).version
  console.log(JSON.stringify({ browser: version, sdk, pages: seen, consents: said }))
  process.exit(0)
}
main().catch((error) => { console.error(error); process.exit(1) })
