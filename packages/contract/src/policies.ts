import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { defineRoute } from './route.ts';
import { DisplayName, Instant } from './shapes.ts';

/** A path on an endpoint, or `~` for the home folder of each user; forward or backward slashes, no NUL. */
const EndpointPath = z.string().min(1).max(4096);

/** A pattern left out of a backup set, and why; the reason is what `holdfast why` prints. */
export const Exclude = z.strictObject({
  pattern: z.string().min(1).max(1024),
  reason: z.string().min(1).max(300),
});
export type Exclude = z.infer<typeof Exclude>;

const daysMask = z
  .array(z.enum(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']))
  .min(1)
  .max(7);
const minuteOfDay = z.number().int().min(0).max(1439);

/** When a backup set may run: always, or between two minutes of the day (in the device's time zone) on some days. */
export const Schedule = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('always') }),
  z.strictObject({ kind: z.literal('window'), days: daysMask, fromMinute: minuteOfDay, toMinute: minuteOfDay }),
]);
export type Schedule = z.infer<typeof Schedule>;

/** For how long versions are kept apart: the newest of each `everySeconds`, up to an age of `untilDays`. */
const RetentionStep = z.strictObject({
  untilDays: z.number().int().min(1).max(36_500),
  everySeconds: z.number().int().min(0).max(31_536_000),
});

/** Which versions are kept. Deleted files are kept for `deletedDays`, for ever when null. */
export const Retention = z.strictObject({
  steps: z.array(RetentionStep).max(10),
  deletedDays: z.number().int().min(1).max(36_500).nullable(),
});
export type Retention = z.infer<typeof Retention>;

/** What is protected, where to, how often, and for how long. */
export const BackupSet = z.strictObject({
  name: DisplayName,
  includes: z.array(EndpointPath).max(1_000),
  excludes: z.array(Exclude).max(1_000),
  schedule: Schedule,
  retention: Retention,
  /** Seconds between two commits while files change. */
  commitIntervalSeconds: z.number().int().min(1).max(86_400),
  /** Local folders besides the cloud, as the endpoint names them. */
  destinations: z.array(EndpointPath).max(10),
});
export type BackupSet = z.infer<typeof BackupSet>;

/** Everything a policy can decide; each field is inherited on its own. */
export const PolicySettings = z.strictObject({
  backupSets: z.array(BackupSet).max(50),
  /**
   * Whether the key is wrapped for the keystore, so that the tenant can open the archive: `required` unless its user chose
   * an archive key password or a custom key, `always` whatever the user chose, or `off`.
   */
  escrow: z.enum(['always', 'required', 'off']),
  /** Days an archive is kept after its device was deactivated. */
  coldStorageDays: z.number().int().min(0).max(3_650),
  /** Bytes at rest one archive may take; no limit when null. */
  archiveQuotaBytes: z.number().int().min(0).nullable(),
  /** Bits per second the agent may send; no limit when null. */
  uploadLimitBitsPerSecond: z.number().int().min(64_000).nullable(),
});
export type PolicySettings = z.infer<typeof PolicySettings>;

/** The name of a setting that is inherited on its own. */
export const PolicyField = z.enum([
  'backupSets',
  'escrow',
  'coldStorageDays',
  'archiveQuotaBytes',
  'uploadLimitBitsPerSecond',
]);
export type PolicyField = z.infer<typeof PolicyField>;

/** What one org decides itself: the fields it sets, and those that orgs and people below it cannot change. */
export const OrgPolicy = z.strictObject({
  settings: PolicySettings.partial(),
  locked: z.array(PolicyField).max(5),
});
export type OrgPolicy = z.infer<typeof OrgPolicy>;

/** What is in force in an org, and which org decided each field. */
export const ResolvedPolicy = z.object({
  settings: PolicySettings,
  sources: z.record(PolicyField, z.uuid().nullable()),
  locked: z.array(PolicyField),
});
export type ResolvedPolicy = z.infer<typeof ResolvedPolicy>;

/** Failures about policies. */
export const policyErrors = defineErrors('policies', {
  org_not_found: ['not_found', 'Org not found'],
  locked_above: ['conflict', 'An org above has locked this setting'],
  changed_meanwhile: ['conflict', 'Somebody changed this policy since you read it'],
});

const oneOrg = z.object({ orgGuid: z.uuid() });
const PolicyOfOrg = z.object({
  orgGuid: z.uuid(),
  own: OrgPolicy,
  resolved: ResolvedPolicy,
  /** Counts the changes; hand it back to change the policy only if nobody else has. */
  revision: z.number().int(),
  modifiedAt: Instant.nullable(),
});

/** Routes of policies. */
export const policyRoutes = {
  get: defineRoute({
    method: 'GET',
    path: '/v1/orgs/:orgGuid/policy',
    summary: 'Read what an org decides itself and what is in force in it',
    permission: 'policies.read',
    params: oneOrg,
    status: 200,
    reply: PolicyOfOrg,
    errors: [policyErrors.org_not_found],
  }),
  put: defineRoute({
    method: 'PUT',
    path: '/v1/orgs/:orgGuid/policy',
    summary: 'Replace what an org decides itself',
    permission: 'policies.write',
    params: oneOrg,
    body: z.strictObject({ own: OrgPolicy, revision: z.number().int().min(0) }),
    status: 200,
    reply: PolicyOfOrg,
    errors: [policyErrors.org_not_found, policyErrors.locked_above, policyErrors.changed_meanwhile],
  }),
};
