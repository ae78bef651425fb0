import type { DestinationPlace } from '../destinations/destination-place.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import type { CloudClient } from './cloud-client.ts';
import { CloudDestination, type Receipt } from './cloud-destination.ts';

/** The cloud as a place that keeps the archive. */
export function cloudPlace(
  config: DestinationConfig,
  client: CloudClient,
  onReceipt?: (receipt: Receipt) => void,
): DestinationPlace {
  return {
    config,
    open: (facts) => CloudDestination.open(client, { ...facts, name: config.name, ...(onReceipt && { onReceipt }) }),
  };
}
