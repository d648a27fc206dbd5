// Sends N calls of every kind through the unmodified @segment/analytics-node: `node segment_node.cjs HOME URL KEY N`,
// HOME being the folder that holds node_modules. Prints what the client itself says of them, as JSON.
'use strict'
const [home, host, writeKey, n] = process.argv.slice(2)
const { Analytics } = require(require.resolve('@segment/analytics-node', { paths: [home] }))

const client = new Analytics({ host, writeKey, flushAt: 20, flushInterval: 200, maxRetries: 10 })
const seen = { delivered: 0, failed: 0, requests: 0, errors: [] }
client.on('error', (error) => {
  if (seen.errors.length < 5) seen.errors.push(String(error.reason ?? error.code ?? error))
})
client.on('http_request', () => { seen.requests += 1 })

const done = (error) => { if (error) seen.failed += 1; else seen.delivered += 1 }
for (let number = 0; number < Number(n); number += 1) {
  const userId = `u${number % 10}`
  const context = { number }
  switch (number % 5) {
    case 0: client.identify({ userId, traits: { plan: 'free' }, context }, done); break
    case 1: client.track({ userId, event: 'Button Clicked', properties: { label: 'Grüße 🎉' }, context }, done); break
    case 2: client.page({ userId, name: 'Home', properties: { path: '/' }, context }, done); break
    case 3: client.group({ userId, groupId: 'g1', traits: { name: 'Werk' }, context }, done); break
    default: client.alias({ userId, previousId: `old${number % 10}`, context }, done)
  }
}
client.closeAndFlush({ timeout: 120_000 }).then(() => console.log(JSON.stringify(seen)))
