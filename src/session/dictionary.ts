// The preset dictionary of the session format: what tokens of common providers have in common, rarest first.

/**
 * The dictionary of format version 1, ASCII. Part of the format: another one is another major version
 * (docs/cookie-format.md). The likeliest text stands last, where deflate reaches it with the fewest bits.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1951 section 3.2.5 (distance codes)
 */
export const DICTIONARY = [
  // Microsoft Entra ID
  '{"aio":"","rh":"","uti":"","xms_ftd":"","xms_idrel":"1 ","appid":"","appidacr":"1","app_displayname":"","idtyp":"user","ipaddr":"',
  '"onprem_sid":"S-1-5-21-","platf":"5","puid":"","unique_name":"","upn":"","idp":"https://sts.windows.net/","wids":["b79fbf4d-3ef9-4689-8143-76b194e85509"],',
  '"ver":"2.0"}"ver":"1.0"}"tid":"","oid":"","scp":"User.Read","azpacr":"1","hasgroups":true,"amr":["pwd","mfa"],"iss":"https://login.microsoftonline.com//v2.0",',
  // Amazon Cognito
  '"cognito:groups":[""],"cognito:username":"","origin_jti":"","event_id":"","token_use":"access","token_use":"id","username":"","client_id":"",',
  '"version":2,"iss":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_',
  // Auth0, Okta, Google and the registered claims
  '"permissions":["read:","write:"],"gty":"password","org_id":"org_","hd":"","locale":"en","zoneinfo":"Europe/","updated_at":"2026-01-01T00:00:00.000Z","nickname":"',
  '"picture":"https://lh3.googleusercontent.com/a/https://s.gravatar.com/avatar/?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2F.png",',
  '"phone_number":"+","phone_number_verified":true,"address":{"cid":"","uid":"","cnf":{"jkt":"","sub":"auth0|","sub":"google-oauth2|","iss":"https://accounts.google.com",',
  '.eu.auth0.com/","aud":["https://","https:///userinfo"],.okta.com/oauth2/default","x5t":"{"typ":"at+jwt","alg":"ES256","alg":"PS256","alg":"EdDSA","alg":"HS256",',
  '{"alg":"dir","enc":"A256GCM","alg":"RSA-OAEP","enc":"A256CBC-HS512","cty":"JWT",',
  // Keycloak and what all share
  '"not-before-policy":0,"reuse_id":"","session_state":"","s_hash":"","c_hash":"","nbf":17,"groups":["/admins","users"],"roles":["user","admin"],',
  '"allowed-origins":["https://"],"resource_access":{"account":{"roles":["manage-account","manage-account-links","view-profile"]}},',
  '"realm_access":{"roles":["default-roles-","offline_access","uma_authorization"]},"scope":"openid web-origins acr offline_access profile basic roles email","scope":"openid email profile",',
  '"typ":"Refresh","typ":"Offline","typ":"ID","azp":"","nonce":"","at_hash":"","acr":"1","acr":"0","email_verified":true,"email_verified":false,',
  '"name":"","preferred_username":"","given_name":"","family_name":"","email":"@gmail.com"@example.com"}',
  'openid profile email offline_access{"alg":"HS512","typ" : "JWT","kid" : "{"alg":"RS256","typ":"JWT","kid":"',
  '{"exp":179,"iat":179,"exp":178,"iat":178,"exp":177,"iat":177,"exp":176,"iat":176,"auth_time":17,"jti":"","iss":"https://login.auth.id/realms/","aud":"account","aud":["account"],"sub":"","typ":"Bearer","azp":"","sid":"'
].join('')
