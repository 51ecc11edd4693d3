"""The sign-in records of Quilltap: OAuth accounts, sessions, verification tokens. To delete one is to revoke it."""

from store.documents import Account, Session, VerificationToken
from store.repositories.base import Repository
from store.repositories.contract import Found


class AccountsRepository(Repository[Account]):
    """Accounts at other services by which users sign in to Quilltap."""

    kind = "account"
    short = ("id", "userId", "type", "provider", "providerAccountId", "scope", "expires_at")
    sortable = ("provider", "providerAccountId")
    searched = ("provider", "providerAccountId")


class SessionsRepository(Repository[Session]):
    """Who is signed in to Quilltap."""

    kind = "session"
    short = ("id", "userId", "expires")
    sortable = ("expires",)
    searched = ()


class VerificationTokensRepository(Repository[VerificationToken]):
    """Tokens by which an address is proved to be somebody's; the token itself is the record's id."""

    kind = "token"
    short = ("token", "identifier", "expires")
    sortable = ("identifier", "expires")
    searched = ("identifier",)

    def find_by_user_id(self, user_id: str) -> Found[VerificationToken]:
        """None: a token names an address, which need not be a user's yet."""
        return Found()
