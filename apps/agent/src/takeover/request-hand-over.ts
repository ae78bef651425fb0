import { mkdirSync } from 'node:fs';
import { type Random, systemRandom } from '@holdfast/base';
import type { Enrollment } from '../cloud/enrollment-store.ts';
import type { HandOverRequest } from './hand-over-documents.ts';
import { recipientOf, TakeoverStore, writerKeyOf } from './pending-takeover.ts';

/** What this computer asks the old one, or an administrator, to sign; the keys in it are kept until it is used. */
export function requestHandOver(
  wanted: {
    readonly enrollment: Enrollment;
    readonly stateDir: string;
    readonly device: string;
    readonly name: string;
  },
  random: Random = systemRandom,
): HandOverRequest {
  const { enrollment, stateDir, device, name } = wanted;
  const { installationId, tenantUid, deviceUid: newDeviceUid, deviceKey } = enrollment;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const pending = new TakeoverStore(stateDir).begin({ deviceUid: newDeviceUid, device }, random);
  return {
    type: 'holdfast-takeover-request',
    version: 1,
    installationId,
    tenantUid,
    device,
    // A computer may be called anything; a request says what shows as it is.
    name: name.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?'),
    newDeviceUid,
    newDeviceKey: deviceKey.x,
    recipientKey: Buffer.from(recipientOf(pending).publicKey).toString('base64url'),
    writerKey: writerKeyOf(pending),
  };
}
