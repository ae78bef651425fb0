import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { kmsRoles, type KmsRole } from '../platform/kms.ts';
import { FakeAwsKms, type AwsPrincipal } from './fake-aws-kms.ts';
import { FakeVault, type MayDo } from './fake-vault.ts';

/** What the guide's policy for a role says: it uses keys under its own context alone; the operator under any, and keys are the operator's. */
export const awsPrincipalOf = (role: KmsRole): AwsPrincipal => ({
  accessKeyId: `AKIAFAKE${role.toUpperCase()}`,
  secretAccessKey: `secret of ${role}`,
  mayDo: (call, of) => role === 'operator' || (/^(En|De)crypt$/.test(call) && of['holdfast-role'] === role),
});

/** What the guide's policy for a role says: it uses its own key, and keys are the operator's. */
export const vaultPolicyOf =
  (role: KmsRole): MayDo =>
  (capability, at) =>
    role === 'operator'
      ? /^transit\/(keys|encrypt|decrypt)\/holdfast-/.test(at)
      : capability === 'update' && new RegExp(`^transit/(en|de)crypt/holdfast-[0-9a-f]+-${role}$`).test(at);

/** A fake that runs, with credentials for each role, and the settings of a server that uses it. */
export type KeyService = { readonly settings: Readonly<Record<string, string>>; stop(): Promise<void> };

/** A fake of AWS KMS that runs. */
export type FakeAws = KeyService & {
  readonly fake: FakeAwsKms;
  readonly folder: string;
  /** What the variables of this process must be for AWS's library to find the credentials, which are profiles of a file. */
  readonly environment: Readonly<Record<string, string>>;
};

/** Starts a fake of AWS KMS. */
export async function startFakeAws(): Promise<FakeAws> {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast aws '));
  const fake = await new FakeAwsKms().start();
  const profiles = kmsRoles.map((role) => {
    const principal = awsPrincipalOf(role);
    const { accessKeyId, secretAccessKey } = principal;
    fake.principals.set(accessKeyId, principal);
    return `[holdfast-${role}]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
  });
  profiles.push('[wrong]\naws_access_key_id = AKIAFAKEAPI\naws_secret_access_key = not the secret\n');
  profiles.push('[stranger]\naws_access_key_id = AKIASTRANGER\naws_secret_access_key = x\n');
  const file = path.join(folder, 'credentials');
  writeFileSync(file, profiles.join('\n'), { mode: 0o600 });
  return {
    fake,
    folder,
    environment: {
      AWS_SHARED_CREDENTIALS_FILE: file,
      AWS_CONFIG_FILE: path.join(folder, 'config'),
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    settings: { HOLDFAST_KMS: `aws-kms:region=${fake.region}&profile=holdfast-{role}&endpoint=${fake.endpoint}` },
    async stop() {
      await fake.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a fake of a Vault, with a file for the token of each role. */
export async function startFakeVault(): Promise<KeyService & { readonly fake: FakeVault; readonly folder: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast vault '));
  const fake = await new FakeVault().start();
  for (const role of kmsRoles) {
    fake.tokens.set(`hvs.${role}`, vaultPolicyOf(role));
    writeFileSync(path.join(folder, `token-${role}`), `hvs.${role}\n`, { mode: 0o600 });
  }
  const tokens = path.join(folder, 'token-{role}');
  return {
    fake,
    folder,
    settings: { HOLDFAST_KMS: `vault:${fake.address}`, HOLDFAST_KMS_SECRET_FILE: tokens },
    async stop() {
      await fake.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
