// Verifies credentials with the Digital Credentials Consortium's library, which shares no code with ours.
// From standard input: a list of {credential, documents (by address, what is there)}. To standard output: a list of
// what was found, true or the error.
import {DataIntegrityProof} from '@digitalcredentials/data-integrity';
import {cryptosuite} from '@digitalcredentials/eddsa-rdfc-2022-cryptosuite';
import {securityLoader} from '@digitalcredentials/security-document-loader';
import * as vc from '@digitalcredentials/vc';
import {readFileSync} from 'node:fs';

const contexts = securityLoader().build();

async function found({credential, documents}) {
  const documentLoader = async url => {
    const address = url.split('#')[0];
    if(!(address in documents)) {
      return contexts(url);
    }
    const document = documents[address];
    const method = (document.verificationMethod ?? []).find(each => each.id === url);
    const content = method ? {'@context': 'https://w3id.org/security/multikey/v1', ...method} : document;
    return {contextUrl: null, documentUrl: url, document: content};
  };
  const checkStatus = async () => ({verified: true}); // the list is verified as a credential of its own
  const suite = new DataIntegrityProof({cryptosuite});
  const result = await vc.verifyCredential({credential, suite, documentLoader, checkStatus});
  return result.verified || String(result.error?.errors?.[0]?.message ?? result.error?.message ?? result.error);
}

const asked = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(await Promise.all(asked.map(found))));
