import { deviceRoutes, enrollmentRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import type { Kms } from '../../platform/kms.ts';
import { mount, mountIo, mountOpen, type HttpDeps } from '../../platform/mount.ts';
import { deauthorizeDevice, heartbeat } from './devices.ts';
import { enrollDevice, type EnrollDeps } from './enroll-device.ts';
import {
  createEnrollmentToken,
  listEnrollmentTokens,
  revokeEnrollmentToken,
  type ServerFacts,
} from './enrollment-tokens.ts';
import { issueDeviceToken, type DeviceTokenDeps } from './issue-device-token.ts';

/** Mounts the routes of invitations and of devices. */
export function mountDevices(
  app: FastifyInstance,
  deps: HttpDeps & EnrollDeps & DeviceTokenDeps & ServerFacts & { readonly kms: Kms },
): void {
  const { kms, installationId } = deps;
  const signing = { ...deps, adapters: { kms, installationId } };
  mount(app, deps, enrollmentRoutes.create, (ctx, { body }) => createEnrollmentToken(ctx, deps, body));
  mount(app, deps, enrollmentRoutes.list, (ctx) => listEnrollmentTokens(ctx));
  mount(app, deps, enrollmentRoutes.revoke, (ctx, { params }) => revokeEnrollmentToken(ctx, params.tokenId));
  mountOpen(app, deps, deviceRoutes.enroll, (ctx, { body }) => enrollDevice(deps, ctx, body));
  mountOpen(app, deps, deviceRoutes.token, (ctx, { body }) => issueDeviceToken(deps, ctx, body));
  const beating = { ...deps, adapters: { refusals: deps.refusals, installationId } };
  mountIo(app, beating, deviceRoutes.heartbeat, (ctx, { body }) => heartbeat(ctx, body));
  mountIo(app, signing, deviceRoutes.deauthorize, (ctx, { params }) => deauthorizeDevice(ctx, params.deviceUid));
}
