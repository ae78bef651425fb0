import type { BackupSet, OrgPolicy, PolicyField, PolicySettings, ResolvedPolicy } from '@holdfast/contract';

/** What one org on the way from the root to an org decides itself. */
export type PolicyOfOrg = { readonly orgId: string; readonly own: OrgPolicy };

/** The fields a policy consists of, in the order they are shown. */
export const policyFields = [
  'backupSets',
  'escrow',
  'coldStorageDays',
  'archiveQuotaBytes',
  'uploadLimitBitsPerSecond',
] as const satisfies readonly PolicyField[];

const because = (pattern: string, reason: string) => ({ pattern, reason });

/** The backup set of a tenant that has decided nothing: people's files, all day, without what is made again anyway. */
export const defaultBackupSet: BackupSet = {
  name: 'Home folders',
  includes: ['~'],
  excludes: [
    because('**/.cache', 'caches are made again by the programs that own them'),
    because('**/Library/Caches', 'caches are made again by the programs that own them'),
    because('**/AppData/Local/Temp', 'temporary files'),
    because('**/.Trash', 'files their owner has thrown away'),
    because('**/.local/share/Trash', 'files their owner has thrown away'),
    because('**/$RECYCLE.BIN', 'files their owner has thrown away'),
    because('**/node_modules', 'packages are installed again from their lock file'),
    because('**/.venv', 'packages are installed again from their lock file'),
    because('**/__pycache__', 'made again when the program runs'),
  ],
  schedule: { kind: 'always' },
  retention: {
    steps: [
      { untilDays: 7, everySeconds: 900 },
      { untilDays: 90, everySeconds: 86_400 },
      { untilDays: 365, everySeconds: 604_800 },
      { untilDays: 36_500, everySeconds: 2_592_000 },
    ],
    deletedDays: null,
  },
  commitIntervalSeconds: 5,
  destinations: [],
};

/** What is in force where no org has decided anything. */
export const defaultSettings: PolicySettings = {
  backupSets: [defaultBackupSet],
  escrow: 'required',
  coldStorageDays: 14,
  archiveQuotaBytes: null,
  uploadLimitBitsPerSecond: null,
};

/**
 * What is in force in the last of some orgs, given what each decides, the root first.
 *
 * Each field comes from the org nearest to the last that sets it, unless an org above has locked it: then the highest
 * lock wins, with what was in force there. A lock holds a default, too.
 */
export function resolvePolicy(path: readonly PolicyOfOrg[]): ResolvedPolicy {
  let settings: PolicySettings = defaultSettings;
  const sources = Object.fromEntries(policyFields.map((field) => [field, null])) as ResolvedPolicy['sources'];
  const locked = new Set<PolicyField>();
  for (const { orgId, own } of path) {
    for (const field of policyFields) {
      if (locked.has(field) || own.settings[field] === undefined) continue;
      settings = { ...settings, [field]: own.settings[field] };
      sources[field] = orgId;
    }
    for (const field of own.locked) locked.add(field);
  }
  return { settings, sources, locked: policyFields.filter((field) => locked.has(field)) };
}

/** The fields an org sets although one above it has locked them; given the orgs above, the root first. */
export function lockedAbove(above: readonly PolicyOfOrg[], own: OrgPolicy): readonly PolicyField[] {
  const { locked } = resolvePolicy(above);
  return locked.filter((field) => own.settings[field] !== undefined);
}
