// The people who can log in at the demo's authorization server.

/** A person known to the authorization server. */
export interface DemoUser {
  /** The subject identifier that tokens carry. */
  readonly sub: string
  /** What the person would type: also matched against `login_hint`. */
  readonly username: string
  readonly name: string
  readonly given_name: string
  readonly family_name: string
  readonly email: string
  /** A picture as a data URL; without one, pages show initials. */
  readonly picture?: string
  readonly roles: readonly string[]
  readonly groups: readonly string[]
  /** One line about the person for the login page. */
  readonly about: string
}

const ingot = 'data:image/svg+xml,' + encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><path fill="#c4703f" d="M0 0h40v40H0z"/>' +
  '<path fill="#f6e3cf" d="M9 12c8 3 14 3 22 0-3 6-3 10 0 16-8-3-14-3-22 0 3-6 3-10 0-16z"/></svg>')

/** Two people of Ur, about 1750 BC: a customer, and a merchant who may see everybody's orders. */
export const demoUsers: readonly DemoUser[] = [
  {
    sub: '2f6c1f0a-8d5e-4b0a-9a53-6a0b7f1d1750',
    username: 'nanni',
    name: 'Nanni of Ur',
    given_name: 'Nanni',
    family_name: 'of Ur',
    email: 'nanni@ur.example',
    roles: ['customer'],
    groups: ['/quay/buyers'],
    about: 'Customer. Has opinions about copper.'
  },
  {
    sub: '9b1de7c4-03f2-4f57-8f1b-52c8a4e01751',
    username: 'ea-nasir',
    name: 'Ea-nāṣir',
    given_name: 'Ea-nāṣir',
    family_name: 'of Dilmun',
    email: 'ea-nasir@dilmun.example',
    picture: ingot,
    roles: ['merchant', 'orders-admin'],
    groups: ['/quay/merchants', '/quay/dilmun-traders'],
    about: 'Merchant. Sees everybody’s orders.'
  }
]

/** The user whom a login hint, user name, e-mail or subject names. */
export function findUser (users: readonly DemoUser[], hint: unknown): DemoUser | undefined {
  return users.find((user) => user.username === hint || user.email === hint || user.sub === hint)
}
