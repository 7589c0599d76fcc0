// The authorization server as a process of its own.
import { startAuthorizationServer, type AuthorizationServerOptions } from '../authorization-server.ts'
import { runAsChild } from '../children.ts'

runAsChild(async (options: AuthorizationServerOptions) => {
  const { issuer, clientId, clientSecret, close } = await startAuthorizationServer(options)
  return { ready: { issuer, clientId, clientSecret }, close }
})
