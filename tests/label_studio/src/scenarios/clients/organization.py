"""Founds another organization: somebody of it, whose token is TOKEN, and a webhook of its own to URL."""

import os

from organizations.models import Organization
from rest_framework.authtoken.models import Token
from users.models import User
from webhooks.models import Webhook

user = User.objects.create_user(email="other@example.com", password="lshookd-other")
organization = Organization.create_organization(created_by=user, title="Another aviary")
user.active_organization = organization
user.save()
if hasattr(organization, "jwt"):
    organization.jwt.legacy_api_tokens_enabled = True
    organization.jwt.save()
Token.objects.filter(user=user).delete()
Token.objects.create(user=user, key=os.environ["TOKEN"])
Webhook.objects.create(organization=organization, url=os.environ["URL"])
print("the program is done")
