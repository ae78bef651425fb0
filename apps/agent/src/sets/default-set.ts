import { readFileSync } from 'node:fs';
import type { BackupSet } from './backup-set.ts';

/**
 * What is left out unless somebody decides otherwise: only what can be had again without loss.
 *
 * Everything else is protected: version control, databases, hidden files, disk images, mail, what a package manager made.
 */
export const defaultExcludes: BackupSet['excludes'] = [
  { pattern: '.cache', reason: 'programs make their caches again' },
  { pattern: 'Cache_Data', reason: "a browser's cache" },
  { pattern: 'CacheStorage', reason: "a browser's cache" },
  { pattern: '.local/share/Trash', reason: 'what was thrown away' },
  { pattern: '.Trash-*', reason: 'what was thrown away' },
  { pattern: '*.crdownload', reason: 'a download that has not ended' },
  { pattern: '.gvfs', reason: 'other computers, shown by the desktop' },
  { pattern: '.dropbox.cache', reason: "a sync program's cache" },
];

/** The set that a device begins with: the home folders, or the folders that were asked for. */
export function defaultSet(includes: readonly string[] = homeFolders()): BackupSet {
  return { name: 'home', includes: [...includes], excludes: [...defaultExcludes], commitIntervalSeconds: 15 };
}

/**
 * The home folders of this machine's people: `/home` and `/root` for a service, as passwd(5) has them for the others.
 */
export function homeFolders(uid: number = process.geteuid?.() ?? 0, passwdFile: string = '/etc/passwd'): string[] {
  if (uid === 0) return ['/home', '/root'];
  const lines = readFileSync(passwdFile, 'utf8').split('\n');
  const own = lines.map((line) => line.split(':')).find((fields) => fields[2] === String(uid))?.[5];
  return own?.startsWith('/') && own !== '/' ? [own] : ['/home'];
}
