import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { KmsSetting } from './kms-settings.ts';

test('a setting names a key file, or a token by its label and module, and nothing else', () => {
  const module = '/usr/lib/softhsm/libsofthsm2.so';
  const taken: readonly (readonly [text: string, read: object])[] = [
    ['file', { kind: 'file', filePath: undefined }],
    ['file:/etc/holdfast/keys', { kind: 'file', filePath: path.resolve('/etc/holdfast/keys') }],
    ['file:keys of mine', { kind: 'file', filePath: path.resolve('keys of mine') }],
    [`pkcs11:token=holdfast?module-path=${module}`, { kind: 'pkcs11', tokenLabel: 'holdfast', modulePath: module }],
    [`pkcs11:token=a%20b%3B?module-path=${module}`, { kind: 'pkcs11', tokenLabel: 'a b;', modulePath: module }],
    [`pkcs11:token=${'x'.repeat(32)}?module-path=/m`, { kind: 'pkcs11', tokenLabel: 'x'.repeat(32), modulePath: '/m' }],
  ];
  for (const [text, read] of taken) assert.deepEqual(KmsSetting.parse(text), read, text);
  const refused = [
    'files',
    'file:',
    'pkcs11:',
    'vault:https://vault',
    'pkcs11:token=holdfast',
    `pkcs11:module-path=${module}`,
    'pkcs11:token=holdfast?module-path=softhsm2.so',
    `pkcs11:token=?module-path=${module}`,
    `pkcs11:token=%ZZ?module-path=${module}`,
    `pkcs11:token=a;token=b?module-path=${module}`,
    `pkcs11:token=a;serial=1?module-path=${module}`,
    `pkcs11:token=a?module-path=${module}?x=y`,
    `pkcs11:token=${'x'.repeat(33)}?module-path=/m`,
  ];
  for (const text of refused) assert.match(messageOf(text), /^it must be file, file:PATH or pkcs11:/, text);
});

test('a PIN in the setting is refused, as value and as place, and is not repeated', () => {
  for (const pin of ['pin-value=1234', 'pin-source=file:/etc/pin']) {
    const message = messageOf(`pkcs11:token=a?module-path=/m&${pin}`);
    assert.match(message, /HOLDFAST_KMS_SECRET_FILE/);
    assert.doesNotMatch(message, /1234/);
  }
  KmsSetting.parse('pkcs11:token=a?module-path=/m');
});

function messageOf(text: string): string {
  return KmsSetting.safeParse(text).error?.issues[0]?.message ?? 'taken';
}
