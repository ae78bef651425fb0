import type { Output } from '../output.ts';
import { quickstartFile, type Quickstart } from './quickstart.ts';

/** The short text `up` ends in: where the console is, where the credentials are, three commands to try. */
export function welcomeText(homeDir: string, quickstart: Quickstart, output: Output): string {
  const { url, caFile, protectedPath } = quickstart;
  const lines = [
    output.strong('Holdfast is running.'),
    `  Console      ${url}`,
    `  Credentials  ${quickstartFile(homeDir)} (only you can read it)`,
    ...(protectedPath === undefined ? [] : [`  Protecting   ${protectedPath}`]),
    ...(caFile === undefined ? [] : ['  Browser      npx holdfast cloud trust-ca makes it trust this address']),
    '',
    'Try:',
    ...commandsToTry(quickstart).map((command) => `  ${command}`),
  ];
  return lines.join('\n');
}

function commandsToTry({ url, caFile, protectedPath }: Quickstart): readonly string[] {
  if (protectedPath !== undefined) {
    const where = shellWord(protectedPath);
    return ['npx holdfast status', `npx holdfast ls ${where}`, `npx holdfast restore ${where} --to restored`];
  }
  const trusting = caFile === undefined ? '' : ` --cacert ${shellWord(caFile)}`;
  return ['npx holdfast cloud doctor', `curl${trusting} ${url}/`, 'npx holdfast --help'];
}

/** A word as a POSIX shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
