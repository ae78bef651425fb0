import { createPrivateKey, sign as signWith } from 'node:crypto';
import path from 'node:path';
import type { Clock } from '@holdfast/base';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { keptRequestsIn } from './kept-requests.ts';
import { ReleaseClient } from './release-client.ts';

/** Releases as the device of an enrolment asks for them; its requests are kept in the state folder. */
export function deviceReleases(client: CloudClient, { stateDir, clock }: { stateDir: string; clock?: Clock }) {
  const { installationId, tenantUid, deviceKey, logKey } = client.enrollment;
  const privateKey = createPrivateKey({ key: { ...deviceKey }, format: 'jwk' });
  const sign = (message: Uint8Array) => signWith(null, message, privateKey);
  return new ReleaseClient({
    identity: { installationId, tenantUid, publicKey: deviceKey.x, sign, logKey },
    call: (route, input) => client.call(route, input),
    requests: keptRequestsIn(path.join(stateDir, 'releases')),
    ...(clock && { clock }),
  });
}
