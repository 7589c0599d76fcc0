// The orders API as a process of its own.
import { runAsChild } from '../children.ts'
import { startOrdersApi, type OrdersApiOptions } from '../orders-api.ts'

runAsChild(async (options: OrdersApiOptions) => {
  const { url, close } = await startOrdersApi(options)
  return { ready: { url }, close }
})
