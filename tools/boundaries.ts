/** Which package may import which, by folder name; a name with `/` is one entry point of a package only. */
export const packageMayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  archive: ['base'],
  trust: ['base'],
  contract: ['base'],
  sdk: ['base', 'contract'],
  recover: [],
  testing: ['base', 'archive', 'contract', 'sdk', 'trust'],
  agent: ['base', 'archive', 'contract', 'sdk', 'trust'],
  cloud: ['base', 'archive', 'contract', 'trust'],
  console: ['base', 'archive/read', 'contract', 'sdk'],
  cli: ['base', 'agent', 'cloud', 'contract', 'recover', 'sdk', 'trust'],
  e2e: ['base', 'agent', 'archive', 'cli', 'cloud', 'contract', 'recover', 'sdk', 'testing', 'trust'],
};

/** What test code may import besides; `*` is every package. */
export const testsMayImport: Readonly<Record<string, readonly string[]>> = {
  '*': ['testing'],
  archive: ['recover'],
  cloud: ['sdk'],
  recover: ['archive/testing'],
};

/** Entry points made for tests, refused to everything else. */
export const testOnlyEntries: readonly string[] = ['testing', 'archive/testing', 'cloud/testing', 'agent/testing'];

/** Entry points that a browser loads: nothing they reach may import a part of Node. */
export const browserEntries: readonly string[] = [
  'packages/base/src/index.ts',
  'packages/archive/src/read.ts',
  'packages/contract/src/index.ts',
  'packages/sdk/src/index.ts',
];

/** The modules of the cloud, each with those right below it; what they may import, it may import too. */
export const cloudModules: Readonly<Record<string, readonly string[]>> = {
  logs: [],
  audit: ['logs'],
  witnesses: ['logs'],
  keylog: ['witnesses'],
  escrow: ['keylog'],
  tenants: ['audit'],
  orgs: ['tenants'],
  tokens: ['tenants'],
  identity: ['orgs', 'tokens'],
  'api-clients': ['identity'],
  policies: ['identity', 'escrow'],
  devices: ['policies'],
  holds: ['devices'],
  takeovers: ['devices'],
  archives: ['holds'],
  storage: ['archives', 'takeovers'],
  persons: ['devices'],
  releases: ['holds', 'persons'],
  restores: ['archives'],
  events: ['devices'],
  detection: ['events'],
  alerts: ['detection'],
  integrations: ['alerts'],
};

/** File names that say nothing of what is in the file. */
export const bannedNames: readonly string[] = [
  'utils',
  'helpers',
  'common',
  'misc',
  'manager',
  'service',
  'types',
  'constants',
  'handler',
];

/** Source files that a module of the cloud may have before it is split by noun. */
export const maxModuleFiles = 12;

/** Folders within one another below `src`. */
export const maxFolderDepth = 3;

/** Plain JavaScript that finds the pinned Node and becomes it: it stands outside the packages, like `tools`. */
export const launchers: readonly string[] = ['apps/cli/bin/holdfast.mjs'];

/** They load every file of one folder, each of which is checked by itself. */
export const folderLoaders: readonly string[] = ['e2e/mutants.ts'];
